"""Where several maps of the variables are possible, the one under which both models agree is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops
from tests.common.models import around, building

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.checks.trying_maps import differ_under_any_map, numbers_along
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.weights.variables import values_of

L = keras.layers


class Turned(L.Layer):
    """A Dense layer without bias whose kernel is held the other way round."""

    def build(self, shape: Any) -> None:
        self.w = self.add_weight(shape=(5, shape[-1]), name="w")

    def call(self, x: Any) -> Any:
        return ops.matmul(x, ops.transpose(self.w))


class Normalised(L.Layer):
    """A BatchNormalization by hand, its variables made in another order under other names."""

    def build(self, shape: Any) -> None:
        size = (shape[-1],)
        self.a = self.add_weight(shape=size, initializer="ones", trainable=False, name="a")
        self.b = self.add_weight(shape=size, initializer="zeros", trainable=False, name="b")
        self.c = self.add_weight(shape=size, initializer="zeros", name="c")
        self.d = self.add_weight(shape=size, initializer="ones", name="d")

    def call(self, x: Any) -> Any:
        return (x - self.b) / ops.sqrt(self.a + 1e-3) * self.d + self.c


PAIRS = {
    "kernel held the other way round": (
        around((4,), lambda: L.Dense(5, use_bias=False)),
        around((4,), Turned),
    ),
    "one-hot and Dense as Embedding": (
        around((5,), lambda: L.Embedding(9, 3), dtype="int32"),
        building((5,), lambda i: L.Dense(3, use_bias=False)(ops.one_hot(i, 9)), dtype="int32"),
    ),
    "cells in one loop": (
        around((5, 3), lambda: L.RNN([L.GRUCell(4), L.GRUCell(4)])),
        building((5, 3), lambda i: L.GRU(4)(L.GRU(4, return_sequences=True)(i))),
    ),
    "BatchNormalization by hand": (
        building((4,), lambda i: L.BatchNormalization()(L.Dense(4)(i))),
        building((4,), lambda i: Normalised()(L.Dense(4)(i))),
    ),
    "Flatten and Dense as EinsumDense": (
        building((3, 4), lambda i: L.Dense(5)(L.Flatten()(i))),
        around((3, 4), lambda: L.EinsumDense("abc,bcd->ad", output_shape=(5,), bias_axes="d")),
    ),
    "Conv1D as Conv2D of height 1": (
        around((6, 4), lambda: L.Conv1D(3, 2)),
        building((6, 4), lambda i: ops.squeeze(L.Conv2D(3, (1, 2))(ops.expand_dims(i, 1)), 1)),
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_the_outputs_agree_under_the_map_that_is_found(name: str) -> None:
    reference, candidate = PAIRS[name]
    report = compare(reference, candidate, checks=["weights", "outputs"])
    assert report["outputs"].verdict is Verdict.EQUIVALENT
    assert report["weights"].figures["certain"]


def test_the_map_is_in_the_figures_as_a_table() -> None:
    report = compare(*PAIRS["kernel held the other way round"], checks=["weights"])
    (row,) = report["weights"].figures["table"]
    assert row["reference"].endswith("dense/kernel")
    assert row["candidate"].endswith("turned/w")
    assert (row["reference_shape"], row["candidate_shape"]) == ([4, 5], [5, 4])
    assert "[1, 0]" in row["carried"]


def attention(order: str, *, scale: float = 1.0) -> Callable[[], keras.Model]:
    class Attention(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.parts = {name: L.Dense(6) for name in order}

        def call(self, x: Any) -> Any:
            query, key, value = (self.parts[name](scale * x) for name in "qkv")
            weights = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 2, 1))))
            return ops.matmul(weights, value)

    return Attention


def test_without_a_certain_map_numbers_that_differ_are_inconclusive() -> None:
    """Branches may be mixed where they hold the same weights, so that these do not tell."""

    def ensemble(mixed: bool) -> Callable[[], keras.Model]:
        def body(inputs: Any) -> Any:
            made = [L.Dense(4)(inputs) for _ in range(6)]
            beside = [*made[1:], made[0]] if mixed else made
            return L.Average()(
                [ops.tanh((a + b) * k) for k, (a, b) in enumerate(zip(made, beside, strict=True), 1)]
            )

        return building((4,), body)

    report = compare(ensemble(False), ensemble(True))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert not report["weights"].figures["certain"]
    (finding,) = report["outputs"].differences
    assert finding.field == "map"
    assert "maps were tried" in finding.message


def test_one_branch_that_differs_among_equal_ones_is_found() -> None:
    def ensemble(odd: str, scale: float) -> Callable[[], keras.Model]:
        def body(inputs: Any) -> Any:
            made = [L.Dense(4, activation="relu" if k else odd)(scale * inputs) for k in range(6)]
            return L.Average()([L.Dense(3)(one) for one in made])

        return building((4,), body)

    report = compare(ensemble("relu", 1.0), ensemble("tanh", 1.0))
    assert report.verdict is Verdict.DIFFERENT
    assert compare(ensemble("tanh", 1.0), ensemble("tanh", 1.0)).verdict is Verdict.EQUIVALENT


def projected(fused: bool) -> Callable[[], keras.Model]:
    def body(inputs: Any) -> Any:
        if fused:
            query, key, value = ops.split(L.Dense(18)(inputs), 3, axis=-1)
        else:
            query, key, value = (L.Dense(6)(inputs) for _ in range(3))
        weights = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 2, 1))))
        return ops.matmul(weights, value)

    return building((5, 6), body)


def test_weights_that_are_packed_otherwise_are_not_called_different() -> None:
    report = compare(projected(fused=False), projected(fused=True))
    assert report.verdict is Verdict.INCONCLUSIVE
    (finding,) = report["weights"].differences
    assert "packed otherwise" in finding.message


def test_one_layer_used_twice_is_no_packing() -> None:
    def shared(inputs: Any) -> Any:
        layer = L.Dense(4)
        return layer(layer(inputs))

    report = compare(building((4,), lambda i: L.Dense(4)(L.Dense(4)(i))), building((4,), shared))
    assert report.verdict is Verdict.DIFFERENT


def test_a_weight_more_in_a_subclass_is_different() -> None:
    class Tied(keras.Model):
        def __init__(self, tied: bool) -> None:
            super().__init__()
            self.first = L.Dense(4)
            self.second = self.first if tied else L.Dense(4)

        def call(self, x: Any) -> Any:
            return self.second(ops.tanh(self.first(x)))

    report = compare(lambda: Tied(True), lambda: Tied(False), input_shape=(4,))
    assert report.verdict is Verdict.DIFFERENT


def test_another_scale_shows_under_any_map() -> None:
    report = compare(attention("qkv"), attention("vkq", scale=2.0), input_shape=(5, 6))
    assert report.verdict is Verdict.DIFFERENT


def encoder(*, before: bool, own: bool, frozen: bool = False) -> Any:
    """A transformer's encoder, normalised before or after; one with layers in another order where ``own``."""

    def build() -> keras.Model:
        inputs = keras.Input((5, 8))
        heads = L.MultiHeadAttention(2, 4)
        made = [L.LayerNormalization(), L.LayerNormalization(), L.Dense(16, "relu"), L.Dense(8)]
        second, first, wide, narrow = made if own else (made[1], made[0], *made[2:])
        heads.trainable = not frozen
        if before:
            x = inputs + heads(first(inputs), first(inputs))
            return keras.Model(inputs, x + narrow(wide(second(x))))
        x = first(inputs + heads(inputs, inputs))
        return keras.Model(inputs, second(x + narrow(wide(x))))

    return build


@pytest.mark.parametrize("frozen", [False, True])
def test_outputs_that_differ_under_any_map_are_different_though_not_every_map_was_tried(frozen: bool) -> None:
    report = compare(
        encoder(before=True, own=False, frozen=frozen), encoder(before=False, own=True, frozen=frozen)
    )
    assert report.verdict is Verdict.DIFFERENT, report


@pytest.mark.parametrize("frozen", [False, True])
def test_weights_that_are_alike_for_any_map_tell_no_equal_models_apart(frozen: bool) -> None:
    models = [keras.Sequential([keras.Input((4,)), L.Dense(4), L.BatchNormalization(), Turned()])]
    models += [keras.Sequential([keras.Input((4,)), L.Dense(4), Normalised(), L.Dense(5, use_bias=False)])]
    for model in models:
        model.layers[0].trainable = not frozen
    runners = [Runner(model, values_of(model)) for model in models]
    batch = Probe("batch", (np.random.default_rng(0).normal(size=(3, 4)).astype("float32"),))
    assert not differ_under_any_map(*runners, batch)
    other = keras.Sequential([*models[1].layers, L.Activation("tanh")])
    assert differ_under_any_map(runners[0], Runner(other, values_of(other)), batch)


def test_numbers_by_sizes_do_not_depend_on_the_order_of_axes() -> None:
    drawn = numbers_along((2, 3, 1, 4))
    assert np.allclose(drawn, numbers_along((4, 2, 3)).transpose(1, 2, 0)[:, :, None])
    assert np.allclose(numbers_along((5, 5)), numbers_along((5, 5)).T)
    assert drawn.std() > 0.1


def heads(count: int, size: int, *, subclassed: bool) -> Callable[[], keras.Model]:
    class Block(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.norm = L.MultiHeadAttention(count, size), L.LayerNormalization()

        def call(self, x: Any) -> Any:
            return self.norm(x + self.attention(x, x))

    def build() -> keras.Model:
        model = Block()
        model(np.zeros((1, 5, 16), np.float32))
        return model

    body = building((5, 16), lambda i: L.LayerNormalization()(i + L.MultiHeadAttention(count, size)(i, i)))
    return build if subclassed else body


@pytest.mark.parametrize("subclassed", [False, True])
@pytest.mark.parametrize("split", [(2, 8), (1, 16)])
def test_heads_split_otherwise_are_different_and_named(split: tuple[int, int], subclassed: bool) -> None:
    inputs = np.random.default_rng(0).normal(size=(4, 5, 16)).astype(np.float32)
    twins = heads(*split, subclassed=subclassed), heads(4, 4, subclassed=subclassed)
    report = compare(*twins, inputs=inputs)
    assert report.verdict is Verdict.DIFFERENT
    assert "num_heads" in " ".join(finding.message for finding in report.findings[:3])


def runners_of(*bodies: Callable[[Any], Any]) -> list[Runner]:
    built = (building((6,), body)() for body in bodies)
    return [Runner(model, values_of(model)) for model in built]


def split(
    first: int, last: Callable[[Any], Any] = lambda x: x, *, relu: bool = False
) -> Callable[[Any], Any]:
    """Return a body whose hidden units are split into two axes, and the kernel after them with them."""

    def body(inputs: Any) -> Any:
        hidden = L.Reshape((first, 12 // first))(L.Dense(12)(inputs))
        hidden = ops.relu(hidden) if relu else hidden
        return L.EinsumDense("buk,ukd->bd", output_shape=(5,))(hidden)

    return body


BATCH = Probe("a batch", (np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32),))


def test_what_is_only_held_in_other_axes_does_not_differ_under_any_map() -> None:
    assert not differ_under_any_map(*runners_of(split(3), split(4)), BATCH)
    assert differ_under_any_map(*runners_of(split(3), split(4, relu=True)), BATCH)


class Noisy(L.Layer):
    """Draws in inference, too."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, x: Any) -> Any:
        return x + keras.random.normal(ops.shape(x), seed=self.generator)


def test_what_rounding_or_a_draw_decides_does_not_count() -> None:
    """Where the weights of a kernel are one number, the first and the last of the largest are other ones."""

    def first(x: Any) -> Any:
        return ops.argmax(L.Dense(5, use_bias=False)(x), -1)

    def last(x: Any) -> Any:
        return 4 - ops.argmax(ops.flip(Turned()(x), -1), -1)

    def noisy(seed: int) -> Callable[[Any], Any]:
        return lambda x: Noisy(seed)(L.Dense(5)(x))

    assert not differ_under_any_map(*runners_of(first, last), BATCH)
    assert not differ_under_any_map(*runners_of(noisy(1), noisy(2)), BATCH)
    assert differ_under_any_map(*runners_of(first, lambda x: -last(x)), BATCH)
