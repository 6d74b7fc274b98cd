"""Layers inside a layer go by the attributes that hold them."""

from __future__ import annotations

import keras

from pytest_kerasequiv import compare
from pytest_kerasequiv.layers.attribute_names import attribute_paths, called, holders


class Block(keras.Layer):
    def __init__(self, rate: float = 0.1, name: str | None = None) -> None:
        super().__init__(name=name)
        self.hidden = keras.layers.Dense(4)
        self.drops = [keras.layers.Dropout(0.1), keras.layers.Dropout(rate)]

    def call(self, x, training=None):
        for drop in self.drops:
            x = drop(self.hidden(x), training=training)
        return x


class Stack(keras.Model):
    def __init__(self, rate: float = 0.1) -> None:
        super().__init__()
        self.blocks = {"first": Block(), "second": Block(rate)}
        self.again = self.blocks["first"]

    def call(self, x, training=None):
        return self.blocks["second"](self.blocks["first"](x, training=training), training=training)


def functional(rate: float = 0.1) -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, Block(rate, name="block")(x), name="net")


def test_fields_and_roles_of_inner_layers_go_by_attributes() -> None:
    fields = ["Dropout[2].rate", "Dense[0].units", "Dense[0]/kernel", "units", "Dense[0] graph"]
    assert called(fields, functional().layers[1]) == {
        "Dropout[2].rate": "drops[1].rate",
        "Dense[0].units": "hidden.units",
        "Dense[0]/kernel": "hidden/kernel",
        "Dense[0] graph": "hidden graph",
    }


def test_paths_begin_with_the_layer_of_the_graph() -> None:
    model = functional()
    assert attribute_paths(model)[f"net/block/{model.layers[1].drops[1].name}"] == "block.drops[1]"
    names = attribute_paths(Stack())
    assert "blocks['second'].hidden" in names.values()


def test_every_name_of_a_layer_is_known() -> None:
    held = holders(Stack())
    assert held["again"] is held["blocks['first']"]
    assert held["blocks['second'].hidden"] is not held["blocks['first'].hidden"]


def test_what_differs_inside_is_named_by_attributes() -> None:
    graph = compare(functional, lambda: functional(0.3), checks=["graph"]).findings
    assert [finding.field for finding in graph] == ["rate", "drops[1].rate"]
    assert "drops[1].rate is 0.1 in the reference and 0.3 in the candidate" in graph[1].message
    subclassed = compare(Stack, lambda: Stack(0.3), input_shape=(4,))
    assert "(blocks['second'].drops[1]) computes other numbers" in str(subclassed)
