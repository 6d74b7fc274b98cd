"""Random small architectures, benign rewrites of them, and faults, as plain data to build Keras models from.

A `Spec` is a list of steps; value ``i`` is input ``i``, value ``len(inputs) + i`` is what step ``i`` makes.
Every layer with weights draws from a distribution of its own and every dropout has a rate of its own, so that
no two layers are interchangeable and each fault is a real one.

    spec = random_spec(random)                 # random: a random.Random, hypothesis's for shrinking
    name, same = random_rewrite(spec, random)  # the same function
    name, other = random_fault(spec, random)   # another function, or another model of it
    model = build(spec)

Tests get this module as the session fixture ``architectures``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

STEPS, CHANNELS = 6, 4
WEIGHTED = {"Dense", "Conv1D", "LSTM", "GRU", "SimpleRNN", "BatchNormalization", "LayerNormalization", "MHA"}
MERGES = ("Add", "Multiply", "Maximum", "Average", "Subtract", "Concatenate")


@dataclass(frozen=True)
class Step:
    """One call: ``kind`` with ``config`` on the values ``inputs``; calls of one ``layer`` share it."""

    kind: str
    config: dict[str, Any]
    inputs: tuple[int, ...]
    layer: int


@dataclass(frozen=True)
class Spec:
    """A model: shapes of its inputs without the batch axis, its calls, the values it returns."""

    inputs: tuple[tuple[int, ...], ...]
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    nest: tuple[int, int] | None = None  # steps that are built into a nested model
    order: tuple[int, ...] | None = field(default=None)  # another order of construction

    def value(self, step: int) -> int:
        return len(self.inputs) + step


# --- drawing


def random_spec(random: Any) -> Spec:
    """Draw an architecture: branches, shared and recurrent layers, attention, one or two inputs."""
    inputs = ((STEPS, CHANNELS),) * random.choice((1, 1, 2))
    shapes: list[tuple[int, ...]] = list(inputs)
    steps: list[Step] = []
    for number in range(random.randint(2, 7)):
        step = _random_step(random, shapes, steps, number)
        steps.append(step)
        shapes.append(_shape_of(step, shapes))
    tail = _collect(steps, shapes, len(inputs))
    last = (len(inputs) + len(tail) - 1,)
    return Spec(inputs, tuple(tail), last if random.random() < 0.8 else _two(inputs, tail))


def _two(inputs: tuple[Any, ...], steps: list[Step]) -> tuple[int, ...]:
    last = len(inputs) + len(steps) - 1
    return (last, steps[-1].inputs[0])


def _random_step(random: Any, shapes: list[tuple[int, ...]], steps: list[Step], number: int) -> Step:
    values = [i for i, shape in enumerate(shapes) if len(shape) == 2]
    newest = values[-1] if random.random() < 0.7 else random.choice(values)
    kinds = [
        "Dense",
        "Conv1D",
        "LSTM",
        "GRU",
        "SimpleRNN",
        "Dropout",
        "BatchNormalization",
        "LayerNormalization",
    ]
    kinds += ["Activation", "MHA", "Bidirectional", "Merge", "Merge", "Merge", "Shared", "Shared", "Shared"]
    kind = random.choice(kinds)
    if kind == "Merge":
        others = [i for i in values if shapes[i] == shapes[newest] and i != newest]
        kind = random.choice(MERGES) if others else "Dense"
        if others:
            config = {"axis": -1} if kind == "Concatenate" else {}
            return Step(kind, config, (newest, random.choice(others)), number)
    if kind == "Shared":
        same = [s for s in steps if s.kind in {"Dense", "LSTM"} and shapes[s.inputs[0]] == shapes[newest]]
        same = [s for s in same if s.inputs[0] != newest]
        if same:
            return replace(random.choice(same), inputs=(newest,))
        kind = "Dense"
    return Step(kind, _random_config(random, kind, number), (newest,), number)


def _random_config(random: Any, kind: str, number: int) -> dict[str, Any]:
    own = {"kernel_initializer": {"stddev": round(0.01 * (number + 1), 2)}}
    if kind == "Dense":
        return {"units": CHANNELS, "activation": random.choice((None, "relu", "tanh")), **own}
    if kind == "Conv1D":
        size = random.choice((1, 3))
        return {"filters": CHANNELS, "kernel_size": size, "padding": "same", "activation": "relu", **own}
    if kind in {"LSTM", "GRU", "SimpleRNN", "Bidirectional"}:
        return {"units": CHANNELS, "return_sequences": True, **own}
    if kind == "Dropout":
        return {"rate": round(0.1 + 0.05 * number, 2)}
    if kind in {"BatchNormalization", "LayerNormalization"}:
        return {"epsilon": 1e-3 * (number + 1)}
    if kind == "Activation":
        return {"activation": random.choice(("relu", "tanh", "sigmoid"))}
    return {"num_heads": 2, "key_dim": 2, **own}


def _shape_of(step: Step, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    first = shapes[step.inputs[0]]
    if step.kind == "Concatenate":
        return (*first[:-1], sum(shapes[i][-1] for i in step.inputs))
    if step.kind == "Bidirectional":
        return (*first[:-1], 2 * CHANNELS)
    if step.kind in {"Dense", "Conv1D", "LSTM", "GRU", "SimpleRNN"}:
        return (*first[:-1], CHANNELS)
    if step.kind == "Flatten":
        return (first[0] * first[1],)
    return first


def _collect(steps: list[Step], shapes: list[tuple[int, ...]], inputs: int) -> list[Step]:
    """Bring every value that is not read yet into the output: project, add up, flatten, one Dense."""
    steps = list(steps)
    read = {i for step in steps for i in step.inputs}
    loose = [i for i in range(len(shapes)) if i not in read]
    number = 20
    while len(loose) > 1:
        pair = []
        for value in loose[:2]:
            init = {"kernel_initializer": {"stddev": 0.01 * number}}
            steps.append(Step("Dense", {"units": CHANNELS, "activation": None, **init}, (value,), number))
            pair.append(inputs + len(steps) - 1)
            number += 1
        steps.append(Step("Subtract", {}, tuple(pair), number))
        loose = [*loose[2:], inputs + len(steps) - 1]
        number += 1
    steps.append(Step("Flatten", {}, (loose[0],), 90))
    last = {"units": 2, "activation": None, "kernel_initializer": {"stddev": 0.9}}
    steps.append(Step("Dense", last, (inputs + len(steps) - 1,), 91))
    return steps


# --- building


def build(spec: Spec) -> Any:
    """Build a spec as a functional model."""
    import keras

    values: dict[int, Any] = {i: keras.Input(shape) for i, shape in enumerate(spec.inputs)}
    layers: dict[int, Any] = {}
    order = list(spec.order or range(len(spec.steps)))
    nested = range(*spec.nest) if spec.nest else range(0)
    for number in order:
        if number in nested:
            if spec.value(number) not in values:
                _build_nested(spec, nested, values, layers)
            continue
        _call(spec.steps[number], spec.value(number), values, layers)
    outputs = [values[i] for i in spec.outputs]
    return keras.Model(
        [values[i] for i in range(len(spec.inputs))], outputs if len(outputs) > 1 else outputs[0]
    )


def _build_nested(spec: Spec, nested: range, values: dict[int, Any], layers: dict[int, Any]) -> None:
    import keras

    made = {spec.value(number) for number in nested}
    given = sorted({i for number in nested for i in spec.steps[number].inputs} - made)
    inner = {i: keras.Input(values[i].shape[1:]) for i in given}
    symbols = list(inner.values())
    for number in nested:
        _call(spec.steps[number], spec.value(number), inner, layers)
    results = [inner[i] for i in sorted(made)]
    outputs = keras.Model(symbols, results)([values[i] for i in given])
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    values.update(zip(sorted(made), outputs, strict=True))


def _call(step: Step, value: int, values: dict[int, Any], layers: dict[int, Any]) -> None:
    given = [values[i] for i in step.inputs]
    if step.kind == "operator":
        values[value] = _operators()[step.config["of"]](*given)
        return
    if step.kind == "function":
        import keras

        values[value] = getattr(keras.activations, step.config["of"])(*given)
        return
    if step.layer not in layers:
        layers[step.layer] = _layer(step)
    layer = layers[step.layer]
    if step.kind == "MHA":
        values[value] = layer(given[0], given[0])
    else:
        values[value] = layer(given if len(given) > 1 else given[0])


def _operators() -> dict[str, Any]:
    import operator

    from keras import ops

    return {"Add": operator.add, "Multiply": operator.mul, "Subtract": operator.sub, "Maximum": ops.maximum}


def _layer(step: Step) -> Any:
    from keras import layers

    config = {name: _argument(name, value) for name, value in step.config.items()}
    if step.kind == "MHA":
        return layers.MultiHeadAttention(**config)
    if step.kind == "Bidirectional":
        return layers.Bidirectional(layers.LSTM(**config))
    if step.kind == "TimeDistributed":
        return layers.TimeDistributed(layers.Dense(**config))
    if step.kind == "RNN":
        cell = getattr(layers, step.config["cell"] + "Cell")
        inner = {
            k: v for k, v in config.items() if k not in {"cell", "return_sequences", "unroll", "go_backwards"}
        }
        outer = {k: v for k, v in config.items() if k in {"return_sequences", "unroll", "go_backwards"}}
        return layers.RNN(cell(**inner), **outer)
    return getattr(layers, step.kind)(**config)


def _argument(name: str, value: Any) -> Any:
    import keras

    if name == "kernel_initializer":
        return keras.initializers.RandomNormal(stddev=value["stddev"])
    return value


# --- rewriting


def random_rewrite(spec: Spec, random: Any) -> tuple[str, Spec]:
    """Draw a benign rewrite that applies; ``("none", spec)`` where no rewrite does."""
    ways = {name: found for name, rule in REWRITES.items() if (found := rule(spec))}
    return _draw(ways, random) if ways else ("none", spec)


def _draw(ways: dict[str, list[Spec]], random: Any) -> tuple[str, Spec]:
    name = random.choice(list(ways))
    return name, random.choice(ways[name])


def _with(spec: Spec, number: int, *steps: Step) -> Spec:
    """Put a chain of steps in the place of one; the last makes its value."""
    made = [*spec.steps[:number], *steps, *spec.steps[number + 1 :]]
    shift = len(steps) - 1
    limit = spec.value(number)
    moved = lambda i: i + shift if i >= limit else i  # noqa: E731
    after = number + len(steps)
    rest = [replace(step, inputs=tuple(map(moved, step.inputs))) for step in made[after:]]
    return replace(
        spec, steps=(*made[:after], *rest), outputs=tuple(map(moved, spec.outputs)), nest=None, order=None
    )


def _once(spec: Spec, number: int) -> bool:
    return sum(step.layer == spec.steps[number].layer for step in spec.steps) == 1


def _split_activation(spec: Spec) -> list[Spec]:
    found = []
    for number, step in enumerate(spec.steps):
        name = step.config.get("activation")
        if step.kind in {"Dense", "Conv1D"} and name and _once(spec, number):
            bare = replace(step, config={**step.config, "activation": None})
            middle = (spec.value(number),)
            found.append(
                _with(spec, number, bare, Step("Activation", {"activation": name}, middle, 100 + number))
            )
            found.append(_with(spec, number, bare, Step("function", {"of": name}, middle, 100 + number)))
            if name == "relu":
                found.append(_with(spec, number, bare, Step("ReLU", {}, middle, 100 + number)))
    return found


def _insert_identity(spec: Spec) -> list[Spec]:
    kinds = [("Identity", {}), ("Activation", {"activation": "linear"}), ("Dropout", {"rate": 0.0})]
    return [
        _with(spec, number, step, Step(kind, config, (spec.value(number),), 200 + number))
        for number, step in enumerate(spec.steps)
        for kind, config in kinds
    ]


def _swap_kind(spec: Spec, kind: str, change: Any) -> list[Spec]:
    found = []
    for number, step in enumerate(spec.steps):
        changed = change(step) if step.kind == kind and _once(spec, number) else None
        if changed is not None:
            steps = (*spec.steps[:number], changed, *spec.steps[number + 1 :])
            found.append(replace(spec, steps=steps))
    return found


def _as_conv(step: Step) -> Step | None:
    if step.layer == 91:
        return None
    config = {("filters" if k == "units" else k): v for k, v in step.config.items()}
    return replace(step, kind="Conv1D", config={**config, "kernel_size": 1})


def _as_cell(kind: str) -> Any:
    return lambda step: replace(step, kind="RNN", config={**step.config, "cell": kind})


def _as_operator(step: Step) -> Step:
    return replace(step, kind="operator", config={"of": step.kind})


def _commuted(spec: Spec) -> list[Spec]:
    flip = lambda step: replace(step, inputs=step.inputs[::-1])  # noqa: E731
    return [
        made for kind in ("Add", "Multiply", "Maximum", "Average") for made in _swap_kind(spec, kind, flip)
    ]


def _nested(spec: Spec) -> list[Spec]:
    count = len(spec.steps)
    whole = [(a, b) for a in range(count) for b in range(a + 1, min(a + 4, count) + 1)]
    return [replace(spec, nest=part, order=None) for part in whole if _closed(spec, part)]


def _closed(spec: Spec, part: tuple[int, int]) -> bool:
    """A layer that is shared between inside and outside cannot be moved inside alone."""
    inside = {spec.steps[number].layer for number in range(*part)}
    outside = {s.layer for number, s in enumerate(spec.steps) if number not in range(*part)}
    return not inside & outside


def _reordered(spec: Spec) -> list[Spec]:
    """Build the branches in another order: always the last step that can be built."""
    done: set[int] = set(range(len(spec.inputs)))
    order: list[int] = []
    while len(order) < len(spec.steps):
        ready = [n for n, s in enumerate(spec.steps) if n not in order and set(s.inputs) <= done]
        order.append(ready[-1])
        done.add(spec.value(ready[-1]))
    return [replace(spec, order=tuple(order), nest=None)]


REWRITES: dict[str, Any] = {
    "activation split": _split_activation,
    "identity": _insert_identity,
    "convolution of kernel size 1": lambda spec: _swap_kind(spec, "Dense", _as_conv),
    "TimeDistributed(Dense)": lambda spec: _swap_kind(
        spec, "Dense", lambda s: None if s.layer == 91 else replace(s, kind="TimeDistributed")
    ),
    "RNN cell": lambda spec: [
        m for k in ("LSTM", "GRU", "SimpleRNN") for m in _swap_kind(spec, k, _as_cell(k))
    ],
    "unroll": lambda spec: [
        made
        for kind in ("LSTM", "GRU", "SimpleRNN")
        for made in _swap_kind(spec, kind, lambda s: replace(s, config={**s.config, "unroll": True}))
    ],
    "operator": lambda spec: [
        m for k in ("Add", "Multiply", "Subtract") for m in _swap_kind(spec, k, _as_operator)
    ],
    "commuting merge": _commuted,
    "nested model": _nested,
    "order of construction": _reordered,
    "reshape form": lambda spec: _swap_kind(
        spec, "Flatten", lambda s: replace(s, kind="Reshape", config={"target_shape": (-1,)})
    ),
}
"""Name -> all ways to apply the rewrite to a spec."""


# --- faults


def random_fault(spec: Spec, random: Any) -> tuple[str, Spec]:
    """Draw a fault that applies: every spec has some."""
    return _draw({name: found for name, fault in FAULTS.items() if (found := fault(spec))}, random)


def _change_field(spec: Spec) -> list[Spec]:
    found = []
    for number, step in enumerate(spec.steps):
        for change in _field_changes(step):
            config = {**step.config, **change}
            steps = tuple(replace(s, config=config) if s.layer == step.layer else s for s in spec.steps)
            if _once(spec, number) or step is next(s for s in spec.steps if s.layer == step.layer):
                found.append(replace(spec, steps=steps))
    return found


def _field_changes(step: Step) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = []
    if step.kind in {"Dense", "Conv1D", "LSTM", "GRU", "SimpleRNN"}:
        changes += [
            {"use_bias": False},
            {"kernel_regularizer": "l2"},
            {"trainable": False},
            {"bias_initializer": "ones"},
        ]
        changes += [{"kernel_initializer": {"stddev": 0.7}}, {"kernel_constraint": "non_neg"}]
    if step.kind in {"Dense", "Conv1D", "Activation"}:
        changes += [{"activation": "elu"}]
    if step.kind in {"LSTM", "GRU", "SimpleRNN"}:
        changes += [
            {"go_backwards": True},
            {"dropout": 0.33},
            {"recurrent_dropout": 0.33},
            {"activation": "relu"},
        ]
    if step.kind == "Dropout":
        changes += [{"rate": 0.77}]
    if step.kind in {"BatchNormalization", "LayerNormalization"}:
        changes += [{"epsilon": step.config["epsilon"] * 1.0001}, {"center": False}]
    if step.kind == "BatchNormalization":
        changes += [{"momentum": 0.5}, {"trainable": False}]
    if step.kind == "Conv1D":
        changes += [{"dilation_rate": 2}] if step.config["kernel_size"] == 3 else []
    return changes


def _swap_inputs(spec: Spec) -> list[Spec]:
    flip = lambda step: replace(step, inputs=step.inputs[::-1]) if len(set(step.inputs)) > 1 else None  # noqa: E731
    return [made for kind in ("Subtract", "Concatenate") for made in _swap_kind(spec, kind, flip)]


def _rewire(spec: Spec) -> list[Spec]:
    """Let a step read another value of its shape that is made before it, where no step is left unread."""
    shapes: list[tuple[int, ...]] = list(spec.inputs)
    for step in spec.steps:
        shapes.append(_shape_of(step, shapes))
    found = []
    for number, step in enumerate(spec.steps):
        for other in range(spec.value(number)):
            place, old = 0, step.inputs[0]
            readers = sum(old in s.inputs for s in spec.steps)
            if other in step.inputs or shapes[other] != shapes[old] or readers < 2:
                continue
            inputs = (*step.inputs[:place], other, *step.inputs[place + 1 :])
            steps = (*spec.steps[:number], replace(step, inputs=inputs), *spec.steps[number + 1 :])
            found.append(replace(spec, steps=steps, order=None, nest=None))
    return found


def _insert(spec: Spec) -> list[Spec]:
    extra = [("Dropout", {"rate": 0.66}), ("LayerNormalization", {}), ("GaussianNoise", {"stddev": 0.1})]
    return [
        _with(spec, number, step, Step(kind, config, (spec.value(number),), 300))
        for number, step in enumerate(spec.steps)
        for kind, config in extra
    ]


def _unshare(spec: Spec) -> list[Spec]:
    found = []
    for number, step in enumerate(spec.steps):
        if step.kind in WEIGHTED and any(s.layer == step.layer for s in spec.steps[:number]):
            steps = (*spec.steps[:number], replace(step, layer=400), *spec.steps[number + 1 :])
            found.append(replace(spec, steps=steps))
    return found


FAULTS: dict[str, Any] = {
    "field": _change_field,
    "inputs swapped": _swap_inputs,
    "wrong source": _rewire,
    "extra layer": _insert,
    "unshared": _unshare,
    "outputs swapped": lambda spec: (
        [replace(spec, outputs=spec.outputs[::-1])] if len(spec.outputs) > 1 else []
    ),
}
"""Name -> all ways to apply the fault to a spec."""
