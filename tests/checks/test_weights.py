"""The check `weights`: partners, setup, initial values, initialisers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from tests.common.models import fresh

from pytest_kerasequiv.checks import weights
from pytest_kerasequiv.correspondence.known import known_variables
from pytest_kerasequiv.correspondence.mapping import possible_maps
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.jsonable import to_jsonable
from pytest_kerasequiv.layers.graph_reading import layer_graph
from pytest_kerasequiv.layers.layer_graph import NoLayerGraph
from pytest_kerasequiv.layers.matching import match
from pytest_kerasequiv.verdict import CheckResult, Evidence, Verdict
from pytest_kerasequiv.weights.variables import assign, values_of


def mapped(reference: Any, candidate: Any) -> VariableMap:
    try:
        layer_match = match(layer_graph(reference), layer_graph(candidate))
    except NoLayerGraph:
        layer_match = None
    known = known_variables(reference), known_variables(candidate)
    (found,) = possible_maps(*known, layer_match=layer_match, program_match=None, programs=None)
    return found


def compared(reference: Any, candidate: Any, **options: Any) -> CheckResult:
    found = mapped(reference, candidate)
    return weights.compare_variables(
        weights.observe_variables(reference), weights.observe_variables(candidate), found, **options
    )


def seeded(reference: Callable[[], Any], candidate: Callable[[], Any], **options: Any) -> CheckResult:
    """Compare two builders, each built under one seed."""
    return compared(fresh(reference), fresh(candidate), **options)


def model(name: str = "m", drop: tuple[str, ...] = (), **changes: dict[str, Any]) -> Callable[[], Any]:
    """A small version of the base model of the list of faults; ``changes`` by layer name."""

    def build() -> Any:
        import keras

        L = keras.layers
        kinds: dict[str, tuple[Any, dict[str, Any]]] = {
            "conv": (L.Conv1D, {"filters": 3, "kernel_size": 3}),
            "bn": (L.BatchNormalization, {}),
            "drop": (L.Dropout, {"rate": 0.2}),
            "ln": (L.LayerNormalization, {}),
            "lstm": (L.LSTM, {"units": 4}),
            "dense": (L.Dense, {"units": 2}),
        }
        used = [n for n in kinds if n not in drop and (n != "ln" or "ln" in changes)]
        stack = [kinds[n][0](**{**kinds[n][1], **changes.get(n, {})}, name=n) for n in used]
        return keras.Sequential([keras.Input((8, 2)), *stack], name=name)

    return build


def fields(result: CheckResult) -> set[tuple[str | None, str | None, str]]:
    return {(f.reference_layer, f.candidate_layer, f.field) for f in result.differences}


def test_equal_builders() -> None:
    result = seeded(model(), model("other"))
    assert (result.verdict, result.evidence) == (Verdict.EQUIVALENT, Evidence.MEASURED)
    assert not result.findings
    assert result.figures["equal_values"] == 11
    assert result.figures["map"] == "graph"


@pytest.mark.parametrize(
    ("layer", "change", "field"),
    [
        ("conv", {"kernel_initializer": "he_normal"}, "kernel_initializer"),
        ("lstm", {"recurrent_initializer": "glorot_uniform"}, "recurrent_initializer"),
        ("lstm", {"unit_forget_bias": False}, "unit_forget_bias"),
        ("conv", {"bias_initializer": "ones"}, "bias_initializer"),
        ("bn", {"gamma_initializer": "zeros"}, "gamma_initializer"),
        ("bn", {"moving_variance_initializer": "zeros"}, "moving_variance_initializer"),
        ("lstm", {"trainable": False}, "trainable"),
        ("bn", {"trainable": False}, "trainable"),
        ("conv", {"dtype": "float64"}, "dtype"),
    ],
)
def test_faults_of_setup(layer: str, change: dict[str, Any], field: str) -> None:
    result = seeded(model(), model(**{layer: change}))
    assert result.verdict is Verdict.DIFFERENT
    assert fields(result) == {(f"m/{layer}", f"m/{layer}", field)}


@pytest.mark.parametrize(
    ("layer", "change", "expected"),
    [
        ("conv", {"filters": 5}, ("m/conv", "m/conv", "kernel shape")),
        ("conv", {"kernel_size": 2}, ("m/conv", "m/conv", "kernel shape")),
        ("conv", {"use_bias": False}, ("m/conv", None, "variables")),
        ("bn", {"center": False}, ("m/bn", None, "variables")),
        ("lstm", {"units": 5}, ("m/lstm", "m/lstm", "kernel shape")),
        ("ln", {}, (None, "m/ln", "variables")),
    ],
)
def test_faults_of_shape(layer: str, change: dict[str, Any], expected: tuple[Any, ...]) -> None:
    result = seeded(model(), model(**{layer: change}))
    assert result.verdict is Verdict.DIFFERENT
    assert expected in fields(result)


def test_a_dropped_layer() -> None:
    result = seeded(model(), model(drop=("bn",)))
    (finding,) = result.differences
    assert (finding.reference_layer, finding.candidate_layer) == ("m/bn", None)
    assert "moving_mean" in finding.message


def test_shared_against_separate_weights() -> None:
    def build(shared: bool) -> Callable[[], Any]:
        def body() -> Any:
            import keras

            inputs = keras.Input((4,))
            first = keras.layers.Dense(4, name="first")
            second = first if shared else keras.layers.Dense(4, name="second")
            return keras.Model(inputs, second(first(inputs)), name="m")

        return body

    result = seeded(build(True), build(False))
    assert fields(result) == {(None, "m/second", "variables")}


def branches(swap: bool, depth: int = 1) -> Callable[[], Any]:
    def build() -> Any:
        import keras

        L = keras.layers
        inputs = keras.Input((4,))
        second = (lambda: L.Dense(3)(L.Dense(5)(inputs))) if depth == 1 else (lambda: L.Dense(3)(inputs))
        if swap:
            b, a = second(), L.Dense(3)(inputs)
        else:
            a, b = L.Dense(3)(inputs), second()
        return keras.Model(inputs, L.Add()([b, a] if swap else [a, b]))

    return build


def test_positional_copying_would_be_wrong_and_is_not_done() -> None:
    ours, theirs = fresh(branches(False)), fresh(branches(True))
    found = mapped(ours, theirs)
    assert any(i != j for i, j in found.pairs)
    assign(theirs, found.carry(values_of(ours), values_of(theirs)))
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    np.testing.assert_allclose(np.array(ours(x)), np.array(theirs(x)), rtol=1e-5, atol=1e-6)


def test_equal_branches_are_resolved_by_their_values() -> None:
    ours = fresh(branches(False, depth=0))
    theirs = fresh(branches(False, depth=0))
    values = values_of(ours)
    found = mapped(ours, theirs)
    assert len(found.ambiguous) == 1
    crossed = [values[2], values[3], values[0], values[1]]
    assign(theirs, crossed)
    assert compared(ours, theirs, weights="own").verdict is Verdict.EQUIVALENT
    assign(theirs, [values[2], values[3], values[0], values[1] + 1])
    (finding,) = compared(ours, theirs, weights="own").differences
    assert finding.field == "bias"


def test_a_kernel_that_gains_an_axis() -> None:
    import keras

    def build(dense: bool) -> Any:
        layer = keras.layers.Dense(3) if dense else keras.layers.Conv1D(3, 1)
        return keras.Sequential([keras.Input((6, 4)), layer])

    ours, theirs = build(True), build(False)
    found = mapped(ours, theirs)
    assert found.complete
    carried = found.carry(values_of(ours), values_of(theirs))
    assert carried[0].shape == (1, 4, 3)
    np.testing.assert_array_equal(carried[0][0], values_of(ours)[0])
    result = compared(ours, theirs)
    assert result.verdict is Verdict.EQUIVALENT
    assert "shape" in {f.field for f in result.notes}


def test_unmapped_values_stay_the_candidates_own() -> None:
    ours, theirs = fresh(model()), fresh(model(ln={}))
    found = mapped(ours, theirs)
    assert not found.complete
    carried = found.carry(values_of(ours), values_of(theirs))
    for index in found.unmapped_candidate:
        np.testing.assert_array_equal(carried[index], values_of(theirs)[index])


def test_seed_states_do_not_make_a_map_incomplete() -> None:
    found = mapped(fresh(model()), fresh(model(drop=("drop",))))
    assert found.complete
    assert found.unmapped_reference


def subclassed(names: tuple[str, str]) -> Any:
    import keras

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__(name="m")
            self.first = keras.layers.Dense(4, name=names[0])
            self.second = keras.layers.Dense(4, name=names[1])

        def call(self, x: Any) -> Any:
            return self.second(self.first(x))

    made = Own()
    made(keras.ops.ones((1, 4)))
    return made


def test_without_a_graph_variables_are_assigned_with_a_note() -> None:
    ours, theirs = subclassed(("first", "second")), subclassed(("first", "second"))
    found = mapped(ours, theirs)
    assert found.source == "hypothesis"
    assert not found.certain
    assert found.pairs == ((0, 0), (1, 1), (2, 2), (3, 3))
    assert not found.ambiguous
    assert "path" in compared(ours, theirs).notes[0].message


def test_an_assignment_that_could_be_another_says_so() -> None:
    ours, theirs = subclassed(("first", "second")), subclassed(("alpha", "beta"))
    found = mapped(ours, theirs)
    assert found.ambiguous
    assert "could be mapped otherwise" in compared(ours, theirs).notes[0].message


def test_weights_inside_a_custom_layer_are_found_outside() -> None:
    """A block that was a layer of its own is written out: its weights are where they were by path."""

    def build(block: bool) -> Callable[[], Any]:
        def body() -> Any:
            import keras

            class Block(keras.layers.Layer):
                def __init__(self, **more: Any) -> None:
                    super().__init__(**more)
                    self.up = keras.layers.Dense(6, name="up")
                    self.down = keras.layers.Dense(4, name="down")

                def build(self, shape: Any) -> None:
                    self.up.build(shape)
                    self.down.build((*shape[:-1], 6))

                def call(self, x: Any) -> Any:
                    return self.down(self.up(x))

            inputs = keras.Input((4,))
            layers = [keras.layers.Dense(6, name="up"), keras.layers.Dense(4, name="down")]
            outputs = Block(name="block")(inputs) if block else layers[1](layers[0](inputs))
            return keras.Model(inputs, outputs, name="m")

        return body

    ours, theirs = fresh(build(True)), fresh(build(False))
    found = mapped(ours, theirs)
    assert found.complete
    assert len(found.assigned) == 4
    result = compared(ours, theirs)
    assert result.verdict is Verdict.EQUIVALENT
    assert "mapped by path" in result.notes[0].message


def test_paths_of_layers_inside_wrappers_and_nested_models() -> None:
    import keras

    L = keras.layers
    block = keras.Sequential([keras.Input((6, 4)), L.Bidirectional(L.LSTM(3), name="bi")], name="block")
    made = keras.Sequential([keras.Input((6, 4)), block, L.Dense(2, name="out")], name="m")
    paths = {fact.layer for fact in weights.observe_variables(made).facts}
    wrapped = block.layers[0]
    inside = {f"m/block/bi/{wrapped.forward_layer.name}", f"m/block/bi/{wrapped.backward_layer.name}"}
    assert paths == inside | {"m/out"}


def test_variables_that_no_output_needs_are_a_note() -> None:
    import keras

    def build(dead: bool) -> Callable[[], Any]:
        def body() -> Any:
            inner_inputs = keras.Input((4,))
            parts = [keras.layers.Dense(3)(inner_inputs)]
            parts += [keras.layers.Dense(5, name="unread")(inner_inputs)] if dead else []
            inner = keras.Model(inner_inputs, parts, name="inner")
            inputs = keras.Input((4,))
            made = inner(inputs)
            return keras.Model(inputs, made[0] if isinstance(made, list | tuple) else made, name="m")

        return body

    result = seeded(build(False), build(True))
    assert result.verdict is Verdict.EQUIVALENT
    assert [f.candidate_layer for f in result.notes] == ["m/inner/unread"]


def test_figures_are_json() -> None:
    result = seeded(model(), model(ln={}))
    figures = to_jsonable(result.figures)
    assert figures["unmapped_candidate"] == ["m/ln/gamma", "m/ln/beta"]


def test_the_models_are_left_alone() -> None:
    ours, theirs = fresh(model()), fresh(model())
    before = values_of(ours), values_of(theirs)
    compared(ours, theirs)
    for old, new in zip((*before[0], *before[1]), (*values_of(ours), *values_of(theirs)), strict=True):
        np.testing.assert_array_equal(old, new)
