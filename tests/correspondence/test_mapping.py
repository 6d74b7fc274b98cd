"""Maps of variables that no proof and no isomorphic graph gives: by roles, shapes and the order of use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import ops
from tests.common.models import Build, around, building, functional

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.correspondence.known import known_variables
from pytest_kerasequiv.correspondence.mapping import possible_maps
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.layers.graph_reading import layer_graph
from pytest_kerasequiv.layers.layer_graph import NoLayerGraph
from pytest_kerasequiv.layers.matching import Match, match
from pytest_kerasequiv.program import match_programs, trace

L = keras.layers


def maps_of(reference: Build, candidate: Build) -> tuple[tuple[VariableMap, ...], list[Any], list[Any]]:
    """Return the possible maps, and the variables of both sides."""
    models = reference(), candidate()
    programs = trace(models[0]), trace(models[1])
    known = known_variables(models[0]), known_variables(models[1])
    found = possible_maps(
        *known,
        layer_match=_layer_match(*models),
        program_match=match_programs(*programs),
        programs=programs,
    )
    return found, list(known[0]), list(known[1])


def _layer_match(reference: keras.Model, candidate: keras.Model) -> Match | None:
    try:
        return match(layer_graph(reference), layer_graph(candidate))
    except NoLayerGraph:
        return None


class Chain(keras.Model):
    """Equal layers in a row, made from the last to the first where ``turned``."""

    def __init__(self, depth: int, *, turned: bool, activations: dict[int, str] | None = None) -> None:
        super().__init__()
        self.scale = 2.0 if turned else 0.5
        self.turned = turned
        order = range(depth)[:: -1 if turned else 1]
        self.made = [L.Dense(4, activation=(activations or {}).get(k, "tanh"), name=f"at{k}") for k in order]

    def call(self, x: Any) -> Any:
        for layer in self.made[:: -1 if self.turned else 1]:
            x = layer(x)
        return x / self.scale if self.turned else x * self.scale


def chain(depth: int, *, turned: bool = False, **more: Any) -> Build:
    def build() -> keras.Model:
        model = Chain(depth, turned=turned, **more)
        model(keras.Input((4,)))
        return model

    return build


@pytest.mark.parametrize("depth", [3, 40])
def test_equal_layers_in_a_row_are_told_by_the_order_of_use(depth: int) -> None:
    (found,), ours, theirs = maps_of(chain(depth), chain(depth, turned=True))
    assert found.certain
    assert found.source == "use"
    assert all(ours[i].path.split("/")[-2:] == theirs[j].path.split("/")[-2:] for i, j in found.pairs)


def test_two_faults_in_a_row_of_equal_layers_leave_the_map_certain() -> None:
    (found,), ours, theirs = maps_of(chain(12), chain(12, turned=True, activations={3: "relu", 7: "relu"}))
    assert found.certain
    assert all(ours[i].path.split("/")[-2:] == theirs[j].path.split("/")[-2:] for i, j in found.pairs)


def attention(order: str, scale: float) -> Build:
    class Attention(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.parts = {name: L.Dense(4, name=name) for name in order}

        def call(self, x: Any) -> Any:
            query, key, value = (self.parts[name](scale * x) for name in "qkv")
            weights = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 2, 1))))
            return ops.matmul(weights, value)

    def build() -> keras.Model:
        model = Attention()
        model(keras.Input((5, 4)))
        return model

    return build


def test_parallel_layers_are_told_by_what_is_made_of_them() -> None:
    (found, *others), ours, theirs = maps_of(attention("qkv", 1.0), attention("vkq", 2.0))
    assert not others
    assert all(ours[i].path.split("/")[-2:] == theirs[j].path.split("/")[-2:] for i, j in found.pairs)


def parallel(scale: float, merge: Callable[[], Any], count: int, after: Callable[[Any], Any]) -> Build:
    return building((4,), lambda i: after(merge()([L.Dense(3)(scale * i) for _ in range(count)])))


def test_parallel_layers_that_nothing_tells_are_hypotheses() -> None:
    found, _, _ = maps_of(parallel(2.0, L.Subtract, 2, ops.tanh), parallel(3.0, L.Subtract, 2, ops.exp))
    assert {one.source for one in found} == {"hypothesis"}
    assert not any(one.certain for one in found)
    assert found[0].rivals == len(found) - 1
    assert {one.pairs for one in found} >= {
        ((0, 0), (1, 1), (2, 2), (3, 3)),
        ((0, 2), (1, 3), (2, 0), (3, 1)),
    }


def test_of_maps_that_exchange_equal_branches_one_is_enough() -> None:
    (found,), _, _ = maps_of(parallel(2.0, L.Add, 8, ops.tanh), parallel(3.0, L.Add, 8, ops.exp))
    assert found.certain


class Branches(keras.Model):
    """Adds two branches, of which one drops in training."""

    def __init__(self, *, first_drops: bool, twice: bool) -> None:
        super().__init__()
        self.branches = [L.Dense(3, activation="relu"), L.Dense(3, activation="relu")]
        self.drop, self.out = L.Dropout(0.5), L.Dense(2)
        self.first_drops, self.twice = first_drops, twice

    def call(self, x: Any, training: bool | None = None) -> Any:
        first, second = (branch(x) for branch in self.branches)
        if self.first_drops:
            first = self.drop(first, training=training)
        else:
            second = self.drop(second, training=training)
        total = first + second
        return self.out(total + total if self.twice else 2.0 * total)


@pytest.mark.parametrize(("reference", "candidate"), [(True, False), (False, True), (True, True)])
def test_branches_that_training_alone_tells_apart_are_told_by_it(reference: bool, candidate: bool) -> None:
    def build(first_drops: bool, twice: bool) -> keras.Model:
        model = Branches(first_drops=first_drops, twice=twice)
        model(keras.ops.zeros((1, 4)))
        return model

    (found, *_), _, _ = maps_of(lambda: build(reference, False), lambda: build(candidate, True))
    other = [0, 1, 2, 3] if reference == candidate else [2, 3, 0, 1]
    assert [j for i, j in sorted(found.pairs) if i < 4] == other


def test_cells_in_one_loop_against_layers_in_a_row() -> None:
    cells = around((5, 3), lambda: L.RNN([L.LSTMCell(4), L.LSTMCell(4)]))
    rows = building((5, 3), lambda i: L.LSTM(4)(L.LSTM(4, return_sequences=True)(i)))
    (found, *_), ours, theirs = maps_of(cells, rows)
    assert found.complete
    weights = [(i, j) for i, j in found.pairs if not ours[i].seed]
    assert [ours[i].name for i, _ in weights] == [theirs[j].name for _, j in weights]
    assert [j for _, j in weights] == sorted(j for _, j in weights)


def test_a_kernel_of_other_shape_is_reshaped_or_transposed() -> None:
    class Turned(L.Layer):
        def build(self, shape: Any) -> None:
            self.w = self.add_weight(shape=(5, shape[-1]), name="w")

        def call(self, x: Any) -> Any:
            return ops.matmul(x, ops.transpose(self.w))

    found, _, _ = maps_of(around((4,), lambda: L.Dense(5, use_bias=False)), around((4,), Turned))
    assert found[0].carried[0, 0].axes == (1, 0)


def test_other_counts_have_no_whole_map() -> None:
    def shared(inputs: Any) -> Any:
        layer = L.Dense(4)
        return layer(layer(inputs))

    (found,), _, _ = maps_of(building((4,), lambda i: L.Dense(4)(L.Dense(4)(i))), building((4,), shared))
    assert not found.complete


class Attention(L.Layer):
    def __init__(self, names: str, scale: float, **options: Any) -> None:
        super().__init__(**options)
        self.scale = scale
        for name in names:
            setattr(self, name, L.EinsumDense("abc,cde->abde", (None, 2, 4), bias_axes="de"))
        self.out = L.EinsumDense("abcd,cde->abe", (None, 8), bias_axes="e")

    def call(self, x: Any) -> Any:
        query, key, value = (getattr(self, name)(x) for name in "qkv")
        shares = ops.softmax(ops.einsum("bqhd,bkhd->bhqk", query, key) * self.scale)
        return self.out(ops.einsum("bhqk,bkhd->bqhd", shares, value))


def test_an_attention_by_hand_of_another_scale_is_different_since_every_map_was_tried() -> None:
    heads = functional(lambda x: L.MultiHeadAttention(2, 4)(x, x), (6, 8))
    for scale, verdict in ((0.5, Verdict.EQUIVALENT), (0.4, Verdict.DIFFERENT)):
        report = compare(heads, functional(Attention("qkv", scale), (6, 8)), weights="copy")
        assert report.verdict is verdict, report
