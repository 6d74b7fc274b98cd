"""Random architectures, a random rewrite, a random fault: the rewrite is proved, the fault never is.

An architecture is a list of parts, each a tuple; all parts keep the width of 4, so that most variables have
the same shape and only the structure tells them apart. ``render`` turns it into a model in a random *style*
(names, nesting, activations split out, order of building and of summands, dead layers, API) of no matter.
``KERASEQUIV_EXAMPLES`` sets how many architectures are tried.
"""

import os
import random
from typing import Any

import keras
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from keras import layers
from tests.common.unread_inputs import ALLOWED

from pytest_kerasequiv.program import match_programs, trace

EXAMPLES = int(os.environ.get("KERASEQUIV_EXAMPLES", "8"))
WIDTH = 4

tried = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=EXAMPLES == 8,
    database=None,
    suppress_health_check=list(HealthCheck),
)

ACTIVATIONS = ("relu", "tanh", "elu", "sigmoid")
flat_part = st.one_of(
    st.tuples(st.just("dense"), st.sampled_from((*ACTIVATIONS, None)), st.booleans()),
    st.tuples(st.just("activation"), st.sampled_from(ACTIVATIONS)),
    st.tuples(st.just("dropout"), st.sampled_from((0.2, 0.3))),
    st.tuples(st.just("batch norm"), st.sampled_from((0.99, 0.9)), st.sampled_from((1e-3, 1e-5))),
    st.tuples(st.just("layer norm")),
    st.tuples(st.just("shared"), st.integers(0, 1)),
)
sequence_part = st.one_of(
    flat_part,
    st.tuples(st.just("conv"), st.integers(1, 3), st.sampled_from((*ACTIVATIONS, None))),
    st.tuples(st.just("lstm"), st.booleans(), st.sampled_from((0.0, 0.1))),
    st.tuples(st.just("gru"), st.booleans(), st.booleans()),
    st.tuples(st.just("both ways"), st.sampled_from(("sum", "mul", "ave"))),
    st.tuples(st.just("attention"), st.integers(1, 2)),
)


def architectures(part):
    """Lists of parts, with up to two branchings in a row or inside each other."""
    arm = st.lists(part, max_size=2)
    joined = st.tuples(
        st.just("branch"), st.sampled_from(("add", "multiply", "subtract", "concatenate")), arm, arm
    )
    deeper = st.lists(st.one_of(part, joined), max_size=2)
    branch = st.tuples(st.just("branch"), st.sampled_from(("add", "subtract")), deeper, deeper)
    return st.lists(st.one_of(part, joined, branch), min_size=1, max_size=4)


worlds = st.one_of(
    st.tuples(st.just((6,)), architectures(flat_part)),
    st.tuples(st.just((5, 3)), architectures(sequence_part)),
)
seeds = st.integers(0, 2**31)
MERGES = {
    "add": layers.Add,
    "multiply": layers.Multiply,
    "subtract": layers.Subtract,
    "concatenate": layers.Concatenate,
}


class Renderer:
    """Builds a model from an architecture, in a style drawn from ``rng``."""

    def __init__(self, rng, frozen=None):
        self.rng = rng
        self.frozen = frozen
        self.with_weights = 0
        self.shared = {}

    def chance(self):
        return self.rng.random() < 0.5

    def name(self):
        return {"name": f"n{self.rng.randrange(10**9)}"} if self.chance() else {}

    def model(self, shape, parts):
        inputs = keras.Input(shape)
        first = self.weighted(layers.Dense(WIDTH, **self.name()))
        if self.chance() and all(part[0] not in ("branch", "attention", "shared") for part in parts):
            return keras.Sequential([inputs, first, *(layer for part in parts for layer in self.stack(part))])
        hidden = self.apply(parts, first(inputs))
        if self.chance():
            layers.Dense(3)(hidden)  # dead
        return keras.Model(inputs, hidden, **self.name())

    def apply(self, parts, hidden):
        if parts and self.chance():
            cut = self.rng.randrange(0 if ALLOWED else 1, len(parts) + 1)
            inputs = keras.Input(hidden.shape[1:])
            inner = keras.Model(inputs, self.each(parts[:cut], inputs), **self.name())
            return self.each(parts[cut:], inner(hidden))
        return self.each(parts, hidden)

    def each(self, parts, hidden):
        for part in parts:
            if part[0] == "branch":
                hidden = self.branch(part, hidden)
            elif part[0] == "attention":
                hidden = self.weighted(layers.MultiHeadAttention(part[1], 2, **self.name()))(hidden, hidden)
            else:
                for layer in self.stack(part):
                    hidden = layer(hidden)
        return hidden

    def branch(self, part, hidden):
        """Both arms begin with a Dense, so that no gradient is a sum of three."""
        _, kind, *arms = part
        outputs = [None, None]
        starts = [self.weighted(layers.Dense(WIDTH)), self.weighted(layers.Dense(WIDTH))]
        counted = self.with_weights
        order = [1, 0] if self.frozen is None and self.chance() else [0, 1]
        for i in order:
            outputs[i] = self.apply(arms[i], starts[i](hidden))
        assert self.with_weights >= counted
        if kind in ("add", "multiply") and self.chance():
            outputs.reverse()
        if kind == "add" and self.chance():
            return outputs[0] + outputs[1]
        merged = MERGES[kind](**self.name())(outputs)
        return self.weighted(layers.Dense(WIDTH))(merged) if kind == "concatenate" else merged

    def stack(self, part):
        kind, *values = part
        if kind == "activation":
            return [
                layers.ReLU(**self.name())
                if values[0] == "relu" and self.chance()
                else layers.Activation(values[0])
            ]
        if kind == "dropout":
            return [layers.Dropout(values[0], **self.name())]
        if kind == "shared":
            if values[0] not in self.shared:
                self.shared[values[0]] = self.weighted(layers.Dense(WIDTH))
            return [self.shared[values[0]]]
        return self.split(*self.layer_of(kind, values))

    def layer_of(self, kind, values):
        """Return a layer with weights, and the activation it is to have."""
        if kind == "dense":
            return layers.Dense(WIDTH, use_bias=values[1], **self.name()), values[0]
        if kind == "conv":
            return layers.Conv1D(WIDTH, values[0], padding="same", **self.name()), values[1]
        if kind == "batch norm":
            return layers.BatchNormalization(momentum=values[0], epsilon=values[1], **self.name()), None
        if kind == "layer norm":
            return layers.LayerNormalization(**self.name()), None
        if kind == "lstm":
            settings_ = {"return_sequences": True, "go_backwards": values[0], "dropout": values[1]}
            return layers.LSTM(WIDTH, **settings_, **self.name()), None
        if kind == "gru":
            settings_ = {"return_sequences": True, "go_backwards": values[0], "reset_after": values[1]}
            return layers.GRU(WIDTH, **settings_, **self.name()), None
        inner = layers.SimpleRNN(WIDTH, return_sequences=True)
        return layers.Bidirectional(inner, merge_mode=values[0], **self.name()), None

    def split(self, layer, activation):
        self.weighted(layer)
        if activation is None:
            return [layer]
        if self.chance():
            return [layer, layers.Activation(activation)]
        layer.activation = keras.activations.get(activation)
        return [layer]

    def weighted(self, layer):
        """Count layers with weights, and freeze the one asked for."""
        if self.with_weights == self.frozen:
            layer.trainable = False
        self.with_weights += 1
        return layer


def render(world, seed, frozen=None):
    shape, parts = world
    renderer = Renderer(random.Random(seed), frozen)
    return renderer.model(shape, parts), renderer.with_weights


def proved(one, other):
    reference, candidate = trace(one), trace(other)
    assert reference.reason is None, reference.reason
    assert candidate.reason is None, candidate.reason
    forth, back = match_programs(reference, candidate), match_programs(candidate, reference)
    assert forth.proved == back.proved
    return forth


def few_shared(parts):
    """A layer used three times sums three gradients, whose order the style may change."""
    return all(repr(parts).count(f"('shared', {i})") <= 2 for i in (0, 1))


@tried
@given(worlds, seeds, seeds)
def test_another_style_is_proved(world, one, other):
    assume(few_shared(world[1]))
    match = proved(render(world, one)[0], render(world, other)[0])
    assert match.proved, match.reason


def canonical(parts):
    """Text that is equal for architectures which may be one program."""
    names: dict[Any, Any] = {}

    def anonymous(items):
        return repr([("shared",) if item[0] == "shared" else sorted_arms(item) for item in items])

    def sorted_arms(item):
        if item[0] != "branch":
            return item
        arms = [anonymous(arm) for arm in item[2:]]
        return (*item[:2], *(sorted(arms) if item[1] in ("add", "multiply") else arms))

    def named(items):
        found = []
        for item in items:
            if item[0] == "shared":
                uses = repr(parts).count(repr(item))
                found.append(
                    ("shared", names.setdefault(item[1], len(names))) if uses > 1 else ("dense", True)
                )
            elif item[0] == "branch":
                arms = sorted(item[2:], key=anonymous) if item[1] in ("add", "multiply") else item[2:]
                found.append(("branch", item[1], *(named(arm) for arm in arms)))
            elif item[0] == "dense":
                found += [("dense", item[2]), ("activation", item[1])]
            elif item[0] == "conv":
                found += [("conv", item[1]), ("activation", item[2])]
            else:
                found.append(item)
        return [item for item in found if item != ("activation", None)]

    return repr(named(parts))


def places(parts, path=()):
    """Yield the path of every list of parts."""
    yield path
    for i, part in enumerate(parts):
        if part[0] == "branch":
            for arm in (2, 3):
                yield from places(part[arm], (*path, i, arm))


def changed(parts, path, change):
    """Return a copy in which ``change`` was applied to the list at ``path``."""
    if not path:
        return change(list(parts))
    i, arm, *rest = path
    part = list(parts[i])
    part[arm] = changed(part[arm], tuple(rest), change)
    return [*parts[:i], tuple(part), *parts[i + 1 :]]


def fault(data, shape, parts):
    """Return an architecture that is another program."""
    part = flat_part if len(shape) == 1 else sequence_part
    path = data.draw(st.sampled_from(list(places(parts))))

    def change(items):
        kind = data.draw(st.sampled_from(("insert", "delete", "replace", "exchange", "merge", "swap arms")))
        at = data.draw(st.integers(0, len(items)))
        if kind == "insert" or not items:
            return [*items[:at], data.draw(part), *items[at:]]
        at = min(at, len(items) - 1)
        item = items[at]
        if kind == "delete":
            return [*items[:at], *items[at + 1 :]]
        if kind == "exchange" and at:
            return [*items[: at - 1], item, items[at - 1], *items[at + 1 :]]
        if kind == "merge" and item[0] == "branch":
            return [
                *items[:at],
                ("branch", "subtract" if item[1] == "add" else "add", *item[2:]),
                *items[at + 1 :],
            ]
        if kind == "swap arms" and item[0] == "branch":
            return [*items[:at], (*item[:2], item[3], item[2]), *items[at + 1 :]]
        return [*items[:at], data.draw(part), *items[at + 1 :]]

    return changed(parts, path, change)


@tried
@given(worlds, seeds, seeds, st.data())
def test_a_fault_is_never_proved(world, one, other, data):
    shape, parts = world
    faulty = fault(data, shape, parts)
    assume(canonical(parts) != canonical(faulty))
    match = proved(render(world, one)[0], render((shape, faulty), other)[0])
    assert not match.proved, (parts, faulty)
    assert match.difference is not None


@tried
@given(worlds, seeds, st.data())
def test_a_frozen_layer_is_never_proved(world, seed, data):
    reference, count = render(world, seed)
    candidate, _ = render(world, seed, frozen=data.draw(st.integers(0, count - 1)))
    assert not proved(reference, candidate).proved
