"""Configs, code digests, roles of variables and the assignment without a graph: plain data where possible."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pytest

from pytest_kerasequiv.layers.alignment import best_path, depth_first
from pytest_kerasequiv.layers.configs import canonical, fields_of
from pytest_kerasequiv.layers.layer_graph import Edge, LayerGraph, LayerNode
from pytest_kerasequiv.layers.own_code import class_code, digest, is_opaque
from pytest_kerasequiv.layers.plain_values import shown
from pytest_kerasequiv.layers.roles import roles_of


def keras_object(name: str, **config: Any) -> dict[str, Any]:
    return {"module": "keras.initializers", "class_name": name, "config": config, "registered_name": None}


def test_names_builds_and_seeds_are_left_out() -> None:
    config = {
        "name": "dense_3",
        "build_config": {"input_shape": (None, 4)},
        "units": 4,
        "seed": 7,
        "bias_constraint": None,
        "kernel_initializer": keras_object("GlorotUniform", seed=3),
        "dtype": {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "mixed_float16"}},
    }
    fields, seeds = fields_of(config)
    assert fields == {"units": 4, "kernel_initializer": {"class": "GlorotUniform"}, "dtype": "mixed_float16"}
    assert seeds == {"seed": 7, "kernel_initializer.seed": 3}


def test_layers_inside_wrappers_have_dotted_fields() -> None:
    inner = {"class_name": "Dense", "config": {"name": "d", "dtype": "float32", "units": 2, "seed": 1}}
    fields, seeds = fields_of({"layer": inner})
    assert fields == {"layer": "Dense", "layer.dtype": "float32", "layer.units": 2}
    assert seeds == {"layer.seed": 1}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.0, 3),
        (0.5, 0.5),
        (True, True),
        ((1, 2.0), [1, 2]),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (np.float32(0.25), 0.25),
        (np.int64(3), 3),
        (np.bool_(True), True),
        (slice(None, 3), {"class": "slice", "of": [None, 3, None]}),
        (..., {"class": "Ellipsis"}),
    ],
)
def test_canonical_values(value: Any, expected: Any) -> None:
    assert canonical(value) == expected
    assert type(canonical(value)) is type(expected)


def test_arrays_count_by_content_shape_and_dtype() -> None:
    base = np.arange(6, dtype="float32")
    same = [canonical(base), canonical(base.copy())]
    others = [canonical(base.reshape(2, 3)), canonical(base.astype("float64")), canonical(base + 1)]
    assert same[0] == same[1]
    assert all(other != same[0] for other in others)


def test_values_are_shown_as_code() -> None:
    assert shown({"class": "L2", "l2": 0.01}) == "L2(l2=0.01)"
    assert shown([3, {"class": "Zeros"}]) == "[3, Zeros()]"
    assert shown("relu") == "'relu'"


def make(power: int, *, default: float = 1.0, offset: Any = 0) -> Any:
    def function(x: float, scale: float = default) -> float:
        return scale * x**power + offset

    return function


def test_functions_count_by_code_defaults_and_closure() -> None:
    base = digest(make(2))
    assert digest(make(2)) == base
    assert len({base, digest(make(3)), digest(make(2, default=2.0)), digest(make(2, offset=1))}) == 4
    assert digest(make(2, offset=np.ones(2))) != digest(make(2, offset=np.zeros(2)))
    assert digest(lambda x: x + 1) != digest(lambda x: x - 1)
    assert digest(lambda x: x.real) != digest(lambda x: x.imag)


def test_functions_that_call_functions() -> None:
    def even(n: int) -> bool:
        return n == 0 or odd(n - 1)

    def odd(n: int) -> bool:
        return n != 0 and even(n - 1)

    assert digest(even) != digest(odd)
    outer = [functools.partial(make(2), scale=s) for s in (1.0, 1.0, 2.0)]
    assert digest(outer[0]) == digest(outer[1]) != digest(outer[2])


def test_an_object_without_a_description_marks_the_digest() -> None:
    assert is_opaque(digest(make(2, offset=object())))
    assert not is_opaque(digest(make(2)))


def test_classes_count_by_code_wherever_they_stand() -> None:
    def scaled(factor: int) -> type:
        class Scale:
            def call(self, x: Any) -> Any:
                return super().__init__() or x * factor

        return Scale

    assert class_code(scaled(2)) == class_code(scaled(2)) != class_code(scaled(3))


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ([], []),
        ([[0.0, 0.0]], []),
        ([[1.0, 5.0]], [(0, 1)]),
        ([[1.0, 0.0], [0.0, 1.0]], [(0, 0), (1, 1)]),
        ([[0.0, 3.0], [3.0, 0.0]], [(0, 1)]),
        ([[2.0, 3.0], [0.0, 2.0]], [(0, 0), (1, 1)]),
    ],
)
def test_best_path(score: Any, expected: Any) -> None:
    found = best_path(score)
    assert sum(score[i][j] for i, j in found) == sum(score[i][j] for i, j in expected)
    assert found == sorted(found)


def test_depth_first_keeps_branches_together() -> None:
    def node(*sources: int) -> LayerNode:
        return LayerNode("", "Dense", inputs=tuple(Edge(source) for source in sources))

    nodes = (node(), node(0), node(0), node(1), node(2), node(3, 4))
    assert depth_first(LayerGraph("m", nodes, (0,), (Edge(5),))) == [0, 1, 3, 2, 4, 5]


def test_roles_do_not_depend_on_names() -> None:
    import keras

    def roles(**names: str) -> list[str]:
        layer = keras.layers.Bidirectional(keras.layers.LSTM(2, **names))
        layer.build((None, 3, 4))
        return [role for role, _ in roles_of(layer)]

    assert roles() == roles(name="other")
    assert roles()[0] == "LSTM[0]/LSTMCell[0]/kernel"
    assert len(set(roles())) == len(roles()) == 8


def test_repeated_roles_are_numbered() -> None:
    import keras

    class Two(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.a = self.add_weight(name="w", shape=(1,))
            self.b = self.add_weight(name="w", shape=(1,))

    layer = Two()
    layer.build((None, 1))
    assert [role for role, _ in roles_of(layer)] == ["w", "w#2"]
