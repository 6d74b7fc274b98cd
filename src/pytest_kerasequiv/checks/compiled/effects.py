"""What losses and metrics compute: their traced programs, and their values on fixed batches."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.checks.compiled.built import METRICS, Built
from pytest_kerasequiv.keras_access.compile_state import leave_out_means
from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.program.assembling import Assembly, Traced
from pytest_kerasequiv.program.logits import SIGMOID, logits_of, with_logits
from pytest_kerasequiv.program.nodes import Node, Program

Array = NDArray[Any]

Effect = dict[str, Any]
"""``program``: its fingerprint; ``operations``: how often each occurs; ``constants``: their texts;
``numbers``: the single numbers among these; ``values``: name of a batch -> results on it."""

SIZE, LENGTH = 8, 5
"""Of a batch, and of an axis that is free."""

COUNTED = frozenset({*range(-20, 21), -100, -99, -999, 99, 100, 127, 128, 255, 999})
"""Whole numbers that some batch holds as targets: labels that a loss may ignore are among them."""

LARGEST = 1e5
"""Thresholds up to this size are crossed by some batch."""

USUAL = "probabilities that are neither 0 nor 1"
"""The name of a batch, where the model makes probabilities: others hold some that are 0."""

RTOL = 2e-5


def effects_of(built: Built, lasts: Sequence[str]) -> dict[str, Any]:
    """Trace losses and metrics; ``None`` stands for what cannot be traced.

    Args:
        built: losses and metrics.
        lasts: for each output, what the model applies last: a loss may undo it.

    Returns:
        ``"loss"``: the `Effect` of the whole loss, without and with sample weights; ``"metrics"`` and
        ``"weighted_metrics"``: for each output one for each metric.
    """
    found: dict[str, Any] = {"loss": None}
    with preserved_state():
        if built.loss is not None:
            found["loss"] = _effect(_loss_run(built, lasts), _specs(built), lasts)
        for name in METRICS:
            found[name] = [
                [_metric_effect(metric, built, place, lasts[place], name) for metric in several]
                for place, several in enumerate(getattr(built, name))
            ]
    return found


def same_effect(reference: Effect | None, candidate: Effect | None) -> str | None:
    """Say why two effects are the same: ``"program"`` or ``"values"``; ``None`` where they may not be.

    Values decide only between programs of other operations (one was rewritten), and only where every whole
    number in either was tried: programs that part over a constant alone are not the same, whatever was tried.
    """
    if reference is None or candidate is None:
        return None
    if reference["program"] == candidate["program"]:
        return "program"
    constants: list[Counter[str]] = [Counter(side["constants"]) for side in (reference, candidate)]
    if reference["operations"] == candidate["operations"] and constants[0] != constants[1]:
        return None
    common = reference["values"].keys() & candidate["values"].keys()
    tried = {float(name) for name in common if name[0] in "-0123456789"} | COUNTED
    numbers = {*reference["numbers"]} ^ {*candidate["numbers"]}
    if any(abs(n) > LARGEST or (float(n).is_integer() and n not in tried) for n in numbers):
        return None
    return None if values_differ(reference, candidate) else "values"


def values_differ(reference: Effect | None, candidate: Effect | None) -> bool:
    """Tell whether two effects are known to give other values for one batch."""
    if reference is None or candidate is None:
        return False
    common = reference["values"].keys() & candidate["values"].keys()
    return not all(_agree(reference["values"][name], candidate["values"][name]) for name in common)


def agree_on_usual(reference: Effect | None, candidate: Effect | None) -> bool:
    """Tell whether two effects agree on probabilities that are neither 0 nor 1."""
    values = [one["values"].get(USUAL) for one in (reference, candidate) if one is not None]
    return len(values) == 2 and None not in values and _agree(*values)


def _agree(reference: Sequence[float], candidate: Sequence[float]) -> bool:
    ours, theirs = np.asarray(reference, float), np.asarray(candidate, float)
    if ours.shape != theirs.shape:
        return False
    scale = float(np.abs(ours[np.isfinite(ours)]).max(initial=0))
    return bool(np.allclose(ours, theirs, rtol=RTOL, atol=RTOL * scale, equal_nan=True))


Specs = Mapping[str, Any]
Draw = Callable[[np.random.Generator, Sequence[int]], Array]
Run = Callable[..., list[Any]]


def _specs(built: Built) -> Specs:
    return {
        "y": keras.tree.map_structure(_spec, built.targets),
        "p": keras.tree.map_structure(_spec, built.outputs),
        "w": keras.tree.map_structure(_weights, built.outputs),
    }


def _weights(output: Any) -> Any:
    """Return the spec of sample weights, one a sample, with an axis for each that a loss of an output has."""
    return tf.TensorSpec((*output.shape[:1], *[1] * (len(output.shape) - 2)))


def _spec(one: Any) -> Any:
    return tf.TensorSpec(one.shape, one.dtype)


def _loss_run(built: Built, lasts: Sequence[str]) -> Run:
    # The means that Keras shows of several losses are variables, and no part of what they compute.
    leave_out_means(built.loss)

    def run(y: Any, p: Any, w: Any) -> list[Any]:
        given = with_logits(lasts, p)
        return [built.loss(y, given), built.loss(y, given, w)]

    return run


def _metric_effect(metric: Any, built: Built, place: int, last: str, name: str) -> Effect | None:
    """Return the effect of two batches on a metric, from its start to its result."""
    if not built.fresh:
        return None
    one = {group: [keras.tree.flatten(structure)[place]] for group, structure in _specs(built).items()}

    def run(given_y: Any, given_p: Any, given_w: Any) -> list[Any]:
        y, p, w = given_y[0], given_p[0], given_w[0]
        weights = [w] if name == METRICS[1] else []
        state = list(map(tf.convert_to_tensor, start))
        for part in (slice(None, None, 2), slice(1, None, 2)):
            batch = [y[part], logits_of(last, p[part]), *(w[part] for w in weights)]
            state = metric.stateless_update_state(state, *batch)
        return list(keras.tree.flatten(metric.stateless_result(state)))

    drawn = _drawn(one, [last], np.random.default_rng(0), _probabilities)
    y, p = (tf.constant(drawn[group][0]) for group in ("y", "p"))
    try:
        metric.update_state(y, logits_of(last, p))  # some make their variables at the first batch
        metric.reset_state()
        start = [variable.numpy() for variable in metric.variables]
    except Exception:  # a user's code may raise anything
        return None
    return _effect(run, one, [last])


def _effect(run: Run, specs: Specs, lasts: Sequence[str]) -> Effect | None:
    leaves = keras.tree.flatten(specs)

    def flat(*tensors: Any) -> list[Any]:
        given = keras.tree.pack_sequence_as(specs, list(tensors))
        return run(given["y"], given["p"], given["w"])

    try:
        traced = tf.function(flat, autograph=False).get_concrete_function(*leaves)
        program = _program(traced.graph, len(leaves))
        if program.fingerprint is None:
            return None
        numbers = _numbers(program.nodes)
        values = {
            name: [float(x) for out in traced(*map(tf.constant, batch)) for x in np.ravel(out)]
            for name, batch in _batches(specs, lasts, numbers)
        }
    except Exception:  # a user's code may raise anything while it is traced or run
        return None
    constants = [
        text
        for node in program.nodes
        if node.op == "Const"
        for key, text in node.attributes
        if key == "value"
    ]
    operations = Counter(node.op for node in program.nodes)
    return {
        "program": program.fingerprint,
        "operations": dict(sorted(operations.items())),
        "constants": sorted(constants),
        "numbers": numbers,
        "values": values,
    }


def _program(graph: Any, arguments: int) -> Program:
    """Return the canonical program of a traced function that uses no variables."""
    assembly = Assembly(keras.Sequential())
    labels = [(f"result {index}", None) for index in range(len(graph.outputs))]
    assembly.take("settings", Traced(graph, [f"Input {index}" for index in range(arguments)], labels))
    return assembly.program()


def _numbers(nodes: Sequence[Node]) -> list[float]:
    """Return the single numbers among the constants of a program."""
    found: set[float] = set()
    for node in nodes:
        text = dict(node.attributes).get("value", "") if node.op == "Const" else ""
        if "[] " in text:
            try:
                found.add(float(text.partition("[] ")[2].partition(" #")[0]))
            except ValueError:  # a text or a truth value
                continue
    return sorted(number for number in found if np.isfinite(number))


def _batches(
    specs: Specs, lasts: Sequence[str], numbers: Sequence[float]
) -> Iterator[tuple[str, list[Array]]]:
    """Yield batches by name: of several scales, of probabilities, of counts, and around each number.

    What a name stands for does not depend on the numbers: both sides are compared on batches of one name.
    """
    draws: dict[str, Draw] = {
        f"scale {scale:g}": lambda rng, shape, scale=scale: rng.normal(0.0, scale, shape)  # type: ignore[misc]
        for scale in (1.0, 30.0, 1e3, 1e5)
    }
    draws["probabilities"] = _probabilities
    counted = np.random.default_rng(0).permutation(sorted(COUNTED)).astype(float)
    for first in range(0, len(counted), SIZE):  # one batch after the other holds them all, however narrow
        some = np.roll(counted, -first)
        draws[f"counts {first}"] = lambda rng, shape, some=some: rng.permuted(np.resize(some, shape))  # type: ignore[misc]
    for number in numbers:
        near = np.array([number, number, number - 1, number + 1, 0.5])
        draws[repr(number)] = lambda rng, shape, near=near: rng.choice(near, shape)  # type: ignore[misc]
    for name, draw in draws.items():
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        yield name, _flat(_drawn(specs, lasts, rng, draw))
    if any(lasts):
        rng = np.random.default_rng(0)
        yield USUAL, _flat(_drawn(specs, lasts, rng, _probabilities, dict.fromkeys(MADE, _usual)))


def _probabilities(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    return _of_whole(_shares(rng, shape))


def _usual(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    return _of_whole(rng.uniform(0.1, 0.9, shape))


def _of_whole(drawn: Array) -> Array:
    several = drawn.ndim > 0 and drawn.shape[-1] > 1
    return np.asarray(drawn / np.maximum(drawn.sum(-1, keepdims=True), 1e-3) if several else drawn)


def _shares(rng: np.random.Generator, shape: Sequence[int]) -> Array:
    return np.asarray(rng.random(shape) * rng.choice([0.0, 1.0, 1.0, 1.0], shape))


MADE: Mapping[str, Draw] = {"Softmax": _probabilities, SIGMOID: _shares}
"""What outputs are by what the model applies last; any number else."""


def _drawn(
    specs: Specs,
    lasts: Sequence[str],
    rng: np.random.Generator,
    draw: Draw,
    made: Mapping[str, Draw] = MADE,
) -> dict[str, Any]:
    """Return a batch: targets as drawn, outputs as the model may make them, weights from 0 to 2.

    Integer targets are classes.
    """

    def one(group: str, spec: Any, classes: int, last: str) -> Array:
        shape = [SIZE, *(LENGTH if length is None else length for length in spec.shape[1:])]
        if group == "w":
            return rng.uniform(0, 2, shape).astype("float32")
        if spec.dtype.is_integer:
            return rng.integers(0, classes, shape).astype(spec.dtype.as_numpy_dtype)
        own = made.get(last, draw) if group == "p" else draw
        return np.asarray(own(rng, shape)).astype(spec.dtype.as_numpy_dtype)

    sizes = [spec.shape[-1] or LENGTH if spec.shape.rank else 1 for spec in keras.tree.flatten(specs["p"])]
    return {
        group: keras.tree.pack_sequence_as(
            structure,
            [one(group, *each) for each in zip(keras.tree.flatten(structure), sizes, lasts, strict=True)],
        )
        for group, structure in specs.items()
    }


def _flat(batch: Mapping[str, Any]) -> list[Array]:
    return list(keras.tree.flatten(dict(batch)))
