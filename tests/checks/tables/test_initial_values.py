"""The check `weights`: what the variables begin with, and where that differs their initialisers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from tests.common.models import flow, fresh

from pytest_kerasequiv import compare
from pytest_kerasequiv.building.sources import source_of
from pytest_kerasequiv.checks import weights
from pytest_kerasequiv.correspondence.known import known_variables
from pytest_kerasequiv.correspondence.mapping import possible_maps
from pytest_kerasequiv.layers.graph_reading import layer_graph
from pytest_kerasequiv.layers.matching import match
from pytest_kerasequiv.verdict import CheckResult, Verdict
from pytest_kerasequiv.weights.variables import assign, values_of


def compared(reference: Any, candidate: Any, **options: Any) -> CheckResult:
    layers = match(layer_graph(reference), layer_graph(candidate))
    known = known_variables(reference), known_variables(candidate)
    (variables,) = possible_maps(*known, layer_match=layers, program_match=None, programs=None)
    return weights.compare_variables(
        weights.observe_variables(reference), weights.observe_variables(candidate), variables, **options
    )


def built(build: Callable[[], Any]) -> Any:
    return source_of(build, "reference", compile=None).build_as_given(0)


def model(**changes: Any) -> Callable[[], Any]:
    """An LSTM and a Dense layer, which has the ``changes``."""

    def build() -> Any:
        import keras

        L = keras.layers
        layers = [L.LSTM(4, name="lstm"), L.Dense(2, name="dense", **changes)]
        return keras.Sequential([keras.Input((8, 2)), *layers], name="m")

    return build


def test_values_that_differ_under_equal_initialisers_are_a_note() -> None:
    def build(swap: bool) -> Callable[[], Any]:
        def body() -> Any:
            import keras

            inputs = keras.Input((4,))
            sizes = (2, 3) if swap else (3, 2)
            made = {size: keras.layers.Dense(size)(inputs) for size in sizes}
            return keras.Model(inputs, keras.layers.Concatenate()([made[3], made[2]]))

        return body

    result = compared(built(build(False)), built(build(True)))
    assert result.verdict is Verdict.EQUIVALENT
    (note,) = result.notes
    assert "initialisers agree" in note.message
    assert result.figures["unequal_values"] == 2


def test_own_values() -> None:
    ours, theirs = fresh(model()), fresh(model())
    assert compared(ours, theirs, weights="own").verdict is Verdict.EQUIVALENT
    values = values_of(theirs)
    kernel = next(i for i, v in enumerate(values) if v.shape == (4, 2))
    values[kernel] = values[kernel].copy()
    values[kernel][1, 1] += 0.5
    assign(theirs, values)
    result = compared(ours, theirs, weights="own")
    (finding,) = result.differences
    assert (finding.reference_layer, finding.field) == ("m/dense", "kernel")
    assert finding.candidate - finding.reference == pytest.approx(0.5)
    assert "(1, 1)" in finding.message


def test_own_values_that_are_not_numbers() -> None:
    ours, theirs = fresh(model()), fresh(model())
    values = values_of(theirs)
    values[0] = np.full_like(values[0], np.nan)
    assign(theirs, values)
    assert compared(ours, theirs, weights="own").verdict is Verdict.DIFFERENT
    assign(ours, values)
    assert compared(ours, theirs, weights="own").verdict is Verdict.EQUIVALENT


def test_trained_values_are_a_note_and_initialisers_decide() -> None:
    ours, theirs = fresh(model()), fresh(model())
    assign(theirs, [v + 1 if v.dtype.kind == "f" else v for v in values_of(theirs)])
    result = compared(ours, theirs)
    assert result.verdict is Verdict.EQUIVALENT
    assert "as given" in result.notes[0].message
    other = fresh(model(kernel_initializer="zeros"))
    (finding,) = compared(ours, other).differences
    assert (finding.reference_layer, finding.field) == ("m/dense", "kernel_initializer")


def test_beside_what_a_file_holds_a_builders_weights_are_said_to_be_freshly_initialised() -> None:
    trained, made = fresh(model()), built(model())
    assign(trained, [v + 1 if v.dtype.kind == "f" else v for v in values_of(trained)])
    assert "since the candidate's are freshly initialised" in compared(trained, made).notes[0].message
    assert "since the reference's are freshly initialised" in compared(made, trained).notes[0].message
    assert "since" not in compared(trained, fresh(model())).notes[0].message


def test_equal_values_of_given_models_do_not_hide_other_initialisers() -> None:
    ours, theirs = fresh(model()), fresh(model(kernel_initializer="zeros"))
    assign(theirs, values_of(ours))
    assert compared(ours, theirs).verdict is Verdict.DIFFERENT


def test_one_distribution_under_two_names() -> None:
    import keras

    scaling = keras.initializers.VarianceScaling(1.0, "fan_avg", "uniform")
    result = compared(fresh(model()), fresh(model(kernel_initializer=scaling)))
    assert result.verdict is Verdict.EQUIVALENT


def custom(initializer: str, value: float = 0.0) -> Callable[[], Any]:
    def build() -> Any:
        import keras

        class Shift(keras.layers.Layer):
            def build(self, shape: Any) -> None:
                self.shift = self.add_weight(name="shift", shape=(shape[-1],), initializer=initializer)

            def call(self, x: Any) -> Any:
                return x + self.shift

        inputs = keras.Input((4,))
        made = keras.Model(inputs, Shift(name="own")(inputs))
        assign(made, [v + value for v in values_of(made)])
        return made

    return build


def test_an_initialiser_that_no_config_names() -> None:
    assert compared(fresh(custom("zeros")), fresh(custom("zeros"))).verdict is Verdict.EQUIVALENT
    result = compared(fresh(custom("zeros")), fresh(custom("ones")))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "not known" in result.notes[0].message
    result = compared(fresh(custom("normal")), fresh(custom("normal", 1.0)))
    assert result.verdict is Verdict.EQUIVALENT, "the same code makes both, so the initialisers agree"
    result = compared(fresh(custom("zeros")), fresh(custom("zeros", 1.0)))
    assert result.verdict is Verdict.INCONCLUSIVE, "no code draws one number throughout: something sets it"


def temperature(start: float) -> Callable[[], Any]:
    def build() -> Any:
        import keras

        class Temperature(keras.layers.Layer):
            def __init__(self, start: float, **settings: Any) -> None:
                super().__init__(**settings)
                self.start = start

            def build(self, shape: Any) -> None:
                self.divisor = self.add_weight(
                    name="divisor", shape=(), initializer=keras.initializers.Constant(self.start)
                )

            def call(self, x: Any) -> Any:
                return x / self.divisor

        inputs = keras.Input((4,))
        return keras.Model(inputs, Temperature(start)(inputs))

    return build


def test_an_attribute_of_an_own_layer_may_be_what_its_variable_begins_with() -> None:
    assert compared(fresh(temperature(1.0)), fresh(temperature(1.0))).verdict is Verdict.EQUIVALENT
    assert compared(fresh(temperature(1.0)), fresh(temperature(100.0))).verdict is Verdict.INCONCLUSIVE


def test_own_initialisers_of_one_name_are_told_apart_by_what_they_do() -> None:
    def scaled(factor: float) -> Callable[..., Any]:
        def start(shape: Any, dtype: Any = None) -> Any:
            import keras

            return factor * keras.ops.ones(shape, dtype)

        return start

    assert compared(
        fresh(model(kernel_initializer=scaled(1.0))), fresh(model(kernel_initializer=scaled(1.0)))
    ).verdict is (Verdict.EQUIVALENT)
    result = compared(
        fresh(model(kernel_initializer=scaled(1.0))), fresh(model(kernel_initializer=scaled(2.0)))
    )
    assert result.verdict is Verdict.DIFFERENT
    assert result.differences[0].field == "kernel_initializer"


def separable() -> Any:
    return flow(keras.layers.SeparableConv2D(4, 3), shape=(8, 8, 3))


def two_convolutions(**changes: Any) -> Any:
    first = keras.layers.DepthwiseConv2D(3, use_bias=False)
    return flow(first, keras.layers.Conv2D(4, 1, **changes), shape=(8, 8, 3))


def embedded(**changes: Any) -> Any:
    inputs = keras.Input((5,), dtype="int32")
    return keras.Model(inputs, keras.layers.Embedding(9, 4, **changes)(inputs))


def one_hot() -> Any:
    inputs = keras.Input((5,), dtype="int32")
    return keras.Model(inputs, keras.layers.Dense(4, use_bias=False)(keras.ops.one_hot(inputs, 9)))


@pytest.mark.parametrize(
    ("reference", "candidate", "found"),
    [
        (separable, two_convolutions, None),
        (
            separable,
            lambda: two_convolutions(kernel_initializer="he_normal"),
            "pointwise_initializer / kernel_initializer",
        ),
        (lambda: embedded(embeddings_initializer="glorot_uniform"), one_hot, None),
        (embedded, one_hot, "embeddings_initializer / kernel_initializer"),
    ],
)
def test_initialisers_are_compared_whatever_layers_call_them(
    reference: Callable[[], Any], candidate: Callable[[], Any], found: str | None
) -> None:
    result = compare(reference, candidate, checks=["weights"]).checks["weights"]
    assert [finding.field for finding in result.differences] == ([found] if found else [])
