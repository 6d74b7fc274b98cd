"""The check `graph` on Keras models: what it reads, what it calls equal, how it tells a difference."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import keras
import pytest
from keras import layers

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import graph
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.jsonable import to_jsonable
from pytest_kerasequiv.keras_access.supported import is_before
from pytest_kerasequiv.layers.graph_reading import layer_graph, operations_of
from pytest_kerasequiv.layers.layer_graph import LayerGraph, NoLayerGraph
from pytest_kerasequiv.verdict import CheckResult, Evidence, Verdict


def compared(reference: Any, candidate: Any) -> CheckResult:
    return graph.compare(graph.observe(reference), graph.observe(candidate))


def told(result: CheckResult) -> list[tuple[str, Any, Any]]:
    return [(f.field, f.reference, f.candidate) for f in result.differences]


def forecaster(rate: float = 0.2, kernel: int = 7, functional: bool = False, name: str = "forecaster") -> Any:
    L = keras.layers
    stack = [
        L.Conv1D(4, kernel, activation="relu"),
        L.LSTM(5, return_sequences=True, activation="relu"),
        L.Dropout(rate, name="drop"),
        L.Dense(2, activation="relu"),
        L.Reshape((1, -1)),
    ]
    inputs = keras.Input((20, 2))
    if not functional:
        return keras.Sequential([inputs, *stack], name=name)
    x = inputs
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, x, name=name)


def vectors(body: Callable[[Any, Any], Any], *, inputs: int = 1, **more: Any) -> Any:
    given = [keras.Input((4,)) for _ in range(inputs)]
    return keras.Model(given, body(given[0] if inputs == 1 else given, keras.layers), **more)


def test_the_two_apis_are_the_same() -> None:
    result = compared(forecaster(), forecaster(functional=True))
    assert (result.verdict, result.evidence) == (Verdict.EQUIVALENT, Evidence.MEASURED)
    assert not result.findings


def test_a_field_names_the_layer_by_path_with_both_values() -> None:
    result = compared(forecaster(), forecaster(0.3, functional=True, name="other"))
    assert result.verdict is Verdict.DIFFERENT
    (finding,) = result.findings
    assert (finding.reference_layer, finding.candidate_layer) == ("forecaster/drop", "other/drop")
    assert (finding.field, finding.reference, finding.candidate) == ("rate", 0.2, 0.3)
    assert "Dropout" in finding.message


FIELDS: list[tuple[str, dict[str, Any], str, dict[str, Any]]] = [
    ("Conv1D", {"activation": "relu"}, "activation", {"activation": "tanh"}),
    ("Conv1D", {"activation": "relu"}, "activation", {"activation": None}),
    ("Conv1D", {}, "padding", {"padding": "same"}),
    ("Conv1D", {}, "padding", {"padding": "causal"}),
    ("Conv1D", {}, "strides", {"strides": 2}),
    ("Conv1D", {}, "dilation_rate", {"dilation_rate": 2}),
    ("Conv1D", {}, "filters", {"filters": 5}),
    ("Conv1D", {"kernel_size": 1}, "filters", {"filters": 5, "kernel_size": 1}),
    ("Conv1D", {"kernel_size": 1}, "kernel_size", {"kernel_size": 3}),
    ("Conv1D", {}, "use_bias", {"use_bias": False}),
    ("Conv1D", {}, "kernel_regularizer", {"kernel_regularizer": "l2"}),
    ("Conv1D", {}, "activity_regularizer", {"activity_regularizer": "l2"}),
    ("Conv1D", {}, "kernel_constraint", {"kernel_constraint": "max_norm"}),
    ("Conv1D", {}, "kernel_initializer", {"kernel_initializer": "he_normal"}),
    ("Conv1D", {}, "bias_initializer", {"bias_initializer": "ones"}),
    ("Conv1D", {}, "trainable", {"trainable": False}),
    ("Conv1D", {}, "dtype", {"dtype": "mixed_float16"}),
    ("LSTM", {}, "units", {"units": 5}),
    ("LSTM", {}, "recurrent_activation", {"recurrent_activation": "hard_sigmoid"}),
    ("LSTM", {}, "activation", {"activation": "relu"}),
    ("LSTM", {}, "go_backwards", {"go_backwards": True}),
    ("LSTM", {}, "dropout", {"dropout": 0.1}),
    ("LSTM", {}, "recurrent_dropout", {"recurrent_dropout": 0.1}),
    ("LSTM", {}, "recurrent_initializer", {"recurrent_initializer": "zeros"}),
    ("LSTM", {}, "unit_forget_bias", {"unit_forget_bias": False}),
    ("BatchNormalization", {}, "epsilon", {"epsilon": 1.0001e-3}),
    ("BatchNormalization", {}, "momentum", {"momentum": 0.9}),
    ("BatchNormalization", {}, "center", {"center": False}),
    ("MaxPooling1D", {}, "pool_size", {"pool_size": 3}),
]


@pytest.mark.parametrize(("kind", "before", "field", "after"), FIELDS)
def test_faults_are_told_by_field(
    kind: str, before: dict[str, Any], field: str, after: dict[str, Any]
) -> None:
    needed = {"Conv1D": {"filters": 4, "kernel_size": 3}, "LSTM": {"units": 4, "return_sequences": True}}

    def build(options: dict[str, Any]) -> Any:
        given = {**needed.get(kind, {}), **options}
        layers = [
            keras.layers.Dense(3),
            getattr(keras.layers, kind)(**given, name="it"),
            keras.layers.Flatten(),
        ]
        return keras.Sequential([keras.Input((12, 4)), *layers], name="m")

    result = compared(build(before), build(after))
    first = result.differences[0]
    assert (first.reference_layer, first.candidate_layer) == ("m/it", "m/it")
    assert field in {f.field for f in result.differences}
    allowed = {field, "pool_size", "strides"} if kind == "MaxPooling1D" else {field}
    if is_before(keras, 3, 10):  # casts to and from the dtype are operations of the graph there
        allowed |= {"layer"}
    assert {f.field for f in result.differences} <= allowed


def test_class_of_a_layer() -> None:
    ours = vectors(lambda x, L: L.Dense(2)(L.BatchNormalization()(x)))
    theirs = vectors(lambda x, L: L.Dense(2)(L.LayerNormalization()(x)))
    assert told(compared(ours, theirs)) == [("class", "BatchNormalization", "LayerNormalization")]


def test_dropped_and_added_layers() -> None:
    ours = vectors(lambda x, L: L.Dense(2)(L.BatchNormalization(name="bn")(x)), name="m")
    theirs = vectors(lambda x, L: L.Dense(2)(x))
    (finding,) = compared(ours, theirs).differences
    assert (finding.reference_layer, finding.candidate_layer, finding.field) == ("m/bn", None, "layer")
    (finding,) = compared(theirs, ours).differences
    assert (finding.reference_layer, finding.candidate_layer, finding.field) == (None, "m/bn", "layer")


def test_batchnorm_after_the_activation() -> None:
    ours = vectors(lambda x, L: L.Dense(2)(L.ReLU()(L.BatchNormalization()(x))))
    theirs = vectors(lambda x, L: L.Dense(2)(L.BatchNormalization()(L.ReLU()(x))))
    assert [f.field for f in compared(ours, theirs).differences] == ["inputs"]


def test_wrong_skip_source() -> None:
    def build(skip: int) -> Any:
        def body(x: Any, L: Any) -> Any:
            values = [x]
            for units in range(4):
                values.append(L.Dense(4, activation="relu", name=f"d{units}")(values[-1]))
            return L.Dense(2)(L.Add(name="sum")([values[skip], values[-1]]))

        return vectors(body, name="m")

    (finding,) = compared(build(1), build(2)).differences
    assert (finding.reference_layer, finding.field) == ("m/sum", "inputs")
    assert (finding.reference, finding.candidate) == (["m/d0", "m/d3"], ["m/d1", "m/d3"])


def test_output_order() -> None:
    ours = vectors(lambda x, L: [L.Dense(2, name="a")(x), L.Dense(2, name="b", use_bias=False)(x)])
    theirs = vectors(lambda x, L: [L.Dense(2, name="b", use_bias=False)(x), L.Dense(2, name="a")(x)])
    result = compared(ours, theirs)
    assert result.verdict is Verdict.DIFFERENT
    assert {f.field for f in result.differences} == {"outputs"}


def test_input_order() -> None:
    ours = vectors(lambda x, L: L.Subtract(name="minus")([L.Dense(2)(x[0]), x[1][:, :2]]), inputs=2)
    theirs = vectors(lambda x, L: L.Subtract(name="minus")([L.Dense(2)(x[1]), x[0][:, :2]]), inputs=2)
    assert {f.field for f in compared(ours, theirs).differences} == {"inputs"}


def test_shared_against_separate_layers() -> None:
    def build(shared: bool) -> Any:
        def body(x: Any, L: Any) -> Any:
            first = L.Dense(4, name="first")
            return (first if shared else L.Dense(4, name="second"))(first(x))

        return vectors(body, name="m")

    (finding,) = compared(build(True), build(False)).differences
    assert finding.field == "sharing"
    assert (finding.reference, finding.candidate) == (["m/first"], ["m/first", "m/second"])
    assert compared(build(True), build(True)).verdict is Verdict.EQUIVALENT


def test_branches_built_in_another_order() -> None:
    def build(swap: bool) -> Any:
        def body(x: Any, L: Any) -> Any:
            a, b = L.Dense(3)(x), L.Dense(3)(L.Dense(5)(x))
            return L.Add()([b, a] if swap else [a, b])

        return vectors(body)

    result = compared(build(False), build(True))
    assert result.verdict is Verdict.EQUIVALENT
    assert "commuting merge" in result.notes[0].message


def test_nested_models_are_written_out() -> None:
    def build(nested: bool) -> Any:
        block = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="conv")], name="block1")
        return vectors(lambda x, L: L.Dense(2)(block(x) if nested else block.layers[0](x)), name="functional")

    result = compared(build(True), build(False))
    assert result.verdict is Verdict.EQUIVALENT
    assert "nested model" in result.notes[0].message
    assert "functional/block1/conv" in [node.path for node in layer_graph(build(True)).nodes]


def test_a_nested_model_that_is_called_twice_shares_its_layers() -> None:
    def build(twice: bool) -> Any:
        def block() -> Any:
            return keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])

        first = block()
        second = first if twice else block()
        return vectors(lambda x, L: second(first(x)))

    assert compared(build(True), build(True)).verdict is Verdict.EQUIVALENT
    assert [f.field for f in compared(build(True), build(False)).differences] == ["sharing"]


def test_training_argument_of_a_nested_model_reaches_its_layers() -> None:
    def build(**call: Any) -> Any:
        block = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5)])
        return vectors(lambda x, L: L.Dense(2)(block(x, **call)))

    assert told(compared(build(), build(training=False))) == [("training", None, False)]


def test_masks_come_out_of_nested_models() -> None:
    def build(nested: bool, mask: bool = True) -> Any:
        tokens = keras.Input((5,), dtype="int32")
        x = keras.layers.Embedding(9, 3, mask_zero=mask)(tokens)
        if nested:
            encoder, tokens = keras.Model(tokens, x), keras.Input((5,), dtype="int32")
            x = encoder(tokens)
        return keras.Model(tokens, keras.layers.LSTM(2)(keras.layers.Dropout(0.1)(x)))

    assert compared(build(True), build(False)).verdict is Verdict.EQUIVALENT
    assert compared(build(True), build(True, mask=False)).verdict is Verdict.DIFFERENT
    kinds = [
        node.kind for node in layer_graph(build(True)).nodes if any(e.slot == "mask" for e in node.inputs)
    ]
    assert kinds == ["LSTM"]


def test_reading_masks_leaves_the_model_and_the_names_alone() -> None:
    tokens = keras.Input((5,), dtype="int32")
    encoder = keras.Model(tokens, keras.layers.Embedding(9, 3, mask_zero=True)(tokens))
    tokens = keras.Input((5,), dtype="int32")
    model = keras.Model(tokens, keras.layers.LSTM(2)(encoder(tokens)))
    before = [
        (len(op._inbound_nodes), len(op._outbound_nodes)) for op in [*encoder.operations, *model.operations]
    ]
    name = keras.layers.Dense(1).name
    layer_graph(model)
    after = [
        (len(op._inbound_nodes), len(op._outbound_nodes)) for op in [*encoder.operations, *model.operations]
    ]
    assert before == after
    number = int(name.rsplit("_", 1)[1]) + 1 if "_" in name else 1
    assert keras.layers.Dense(1).name == f"dense_{number}"


def test_operators_and_constants_in_calls() -> None:
    def build(factor: float) -> Any:
        return vectors(lambda x, L: x * factor)

    assert compared(build(2.0), build(2.0)).verdict is Verdict.EQUIVALENT
    assert told(compared(build(2.0), build(3.0))) == [("x2", 2, 3)]


def test_arrays_in_calls() -> None:
    import numpy as np

    def build(last: float) -> Any:
        return vectors(lambda x, L: x + np.array([1, 2, 3, last], "float32"))

    assert compared(build(4), build(4)).verdict is Verdict.EQUIVALENT
    assert compared(build(4), build(5)).verdict is Verdict.DIFFERENT


def test_keyword_or_positional_does_not_count() -> None:
    ours = vectors(lambda x, L: L.Attention()([L.Dense(3)(x)[:, None], L.Dense(4)(x)[:, None, :3]]))
    theirs = vectors(lambda x, L: L.Attention()(inputs=[L.Dense(3)(x)[:, None], L.Dense(4)(x)[:, None, :3]]))
    assert compared(ours, theirs).verdict is Verdict.EQUIVALENT


def test_seeds_are_a_note() -> None:
    ours = vectors(lambda x, L: L.Dropout(0.2, seed=1)(x))
    theirs = vectors(lambda x, L: L.Dropout(0.2, seed=2)(x))
    result = compared(ours, theirs)
    assert result.verdict is Verdict.EQUIVALENT
    assert [(f.field, f.reference, f.candidate, f.severity) for f in result.findings] == [
        ("seed", 1, 2, "note")
    ]


def test_trainable_of_the_whole_model() -> None:
    ours, theirs = vectors(lambda x, L: L.ReLU()(x)), vectors(lambda x, L: L.ReLU()(x))
    theirs.trainable = False
    assert told(compared(ours, theirs))[0] == ("trainable", True, False)


def test_one_change_in_many_layers_is_told_once() -> None:
    def build(bias: bool) -> Any:
        def body(x: Any, L: Any) -> Any:
            for _ in range(9):
                x = L.Dense(4, use_bias=bias)(x)
            return x

        return vectors(body)

    (finding,) = compared(build(True), build(False)).differences
    assert (finding.field, finding.reference, finding.candidate) == ("use_bias", True, False)
    assert "8 more layers" in finding.message


def test_subclassed_models_have_no_graph() -> None:
    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    own = Own()
    own(keras.ops.ones((1, 4)))
    result = compared(vectors(lambda x, L: L.Dense(2)(x)), own)
    assert (result.verdict, result.evidence) == (Verdict.INCONCLUSIVE, None)
    (finding,) = result.findings
    assert finding.severity == "note"
    assert "subclassed" in finding.message
    with pytest.raises(NoLayerGraph, match="subclassed"):
        layer_graph(own)


def test_a_functional_subclass_with_its_own_call_has_no_graph() -> None:
    class Doubled(keras.Model):
        def call(self, inputs: Any, training: Any = None) -> Any:
            return 2 * super().call(inputs)

    inputs = keras.Input((4,))
    with pytest.raises(NoLayerGraph):
        layer_graph(Doubled(inputs, keras.layers.Dense(2)(inputs)))


def test_an_unbuilt_sequential_has_no_graph() -> None:
    with pytest.raises(NoLayerGraph, match="not built"):
        layer_graph(keras.Sequential([keras.layers.Dense(2)]))


def scale_layer(power: int) -> Any:
    """A custom layer class; its code differs with ``power``, its name and config do not."""

    class Scale(keras.layers.Layer):
        def __init__(self, factor: float, **more: Any) -> None:
            super().__init__(**more)
            self.factor = factor

        def call(self, x: Any) -> Any:
            return x * self.factor if power == 1 else x * x * self.factor

    class Squared(Scale):
        def call(self, x: Any) -> Any:
            return x * x * self.factor

    Squared.__name__ = "Scale"
    return Scale if power == 1 else Squared


def test_custom_layers_are_compared_by_config_and_code() -> None:
    def build(power: int, factor: float) -> Any:
        return vectors(lambda x, L: scale_layer(power)(factor)(x))

    assert compared(build(1, 2.0), build(1, 2.0)).verdict is Verdict.EQUIVALENT
    assert told(compared(build(1, 2.0), build(1, 3.0))) == [("factor", 2, 3)]
    assert [f.field for f in compared(build(1, 2.0), build(2, 2.0)).differences] == ["code"]


def test_custom_layers_inside_wrappers() -> None:
    def build(power: int) -> Any:
        cls = scale_layer(power)
        cls.compute_output_shape = lambda self, shape: shape
        inputs = keras.Input((3, 4))
        return keras.Model(inputs, keras.layers.TimeDistributed(cls(2.0))(inputs))

    assert compared(build(1), build(1)).verdict is Verdict.EQUIVALENT
    assert compared(build(1), build(2)).verdict is Verdict.DIFFERENT


def test_models_inside_wrappers() -> None:
    def build(units: int, swap: bool = False) -> Any:
        step = keras.Input((4,))
        a, b = keras.layers.Dense(units)(step), keras.layers.Dense(units, use_bias=False)(step)
        inner = keras.Model(step, keras.layers.Subtract()([b, a] if swap else [a, b]))
        inputs = keras.Input((3, 4))
        return keras.Model(inputs, keras.layers.TimeDistributed(inner)(inputs))

    assert compared(build(2), build(2)).verdict is Verdict.EQUIVALENT
    assert compared(build(2), build(3)).verdict is Verdict.DIFFERENT
    assert compared(build(2), build(2, swap=True)).verdict is Verdict.DIFFERENT


def test_a_custom_layer_without_config_is_not_called_equivalent() -> None:
    class Opaque(keras.layers.Layer):
        def __init__(self, function: Any) -> None:
            super().__init__()
            self._function = function

        def call(self, x: Any) -> Any:
            return self._function(x)

    result = compared(vectors(lambda x, L: Opaque(abs)(x)), vectors(lambda x, L: Opaque(abs)(x)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "get_config" in result.notes[0].message
    result = compared(vectors(lambda x, L: Opaque(abs)(x)), vectors(lambda x, L: Opaque(lambda y: -y)(x)))
    assert result.verdict is Verdict.DIFFERENT


def test_a_function_that_holds_what_cannot_be_compared() -> None:
    class Holder:
        factor = 2

    def build(holder: Any) -> Any:
        return vectors(lambda x, L: L.Lambda(lambda y: y * (2 if holder else 3))(x))

    assert compared(build(threading.Lock()), build(threading.Lock())).verdict is Verdict.INCONCLUSIVE
    assert compared(build(Holder()), build(Holder())).verdict is Verdict.EQUIVALENT


def test_a_partial_function_is_compared_with_its_arguments() -> None:
    import functools

    def build(top: float) -> Any:
        own = functools.partial(keras.activations.relu, max_value=top)
        return vectors(lambda x, L: L.Lambda(own)(x))

    assert compared(build(1.0), build(1.0)).verdict is Verdict.INCONCLUSIVE, "Keras cannot give its config"
    assert compared(build(1.0), build(2.0)).verdict is Verdict.DIFFERENT


def test_a_replaced_call_is_seen() -> None:
    ours, theirs = vectors(lambda x, L: L.Dense(2)(x)), vectors(lambda x, L: L.Dense(2)(x))
    layer = theirs.layers[-1]
    original = layer.call
    layer.call = lambda x: original(2 * x)
    assert compared(ours, theirs).verdict is not Verdict.EQUIVALENT


def test_private_attributes_of_custom_layers_count() -> None:
    class Hidden(keras.layers.Layer):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self._factor = factor

        def get_config(self) -> dict[str, Any]:
            return super().get_config()

        def call(self, x: Any) -> Any:
            return x * self._factor

    result = compared(vectors(lambda x, L: Hidden(2.0)(x)), vectors(lambda x, L: Hidden(3.0)(x)))
    assert told(result) == [("attribute _factor", 2, 3)]


def test_a_nested_functional_subclass_is_compared_by_its_graph_too() -> None:
    class Doubled(keras.Model):
        def call(self, inputs: Any, training: Any = None) -> Any:
            return 2 * super().call(inputs)

    def build(swap: bool) -> Any:
        inner = keras.Input((4,))
        a, b = keras.layers.Dense(2, use_bias=False)(inner), keras.layers.Dense(2)(inner)
        block = Doubled(inner, keras.layers.Subtract()([b, a] if swap else [a, b]))
        return vectors(lambda x, L: block(x))

    assert compared(build(False), build(False)).verdict is Verdict.EQUIVALENT
    assert compared(build(False), build(True)).verdict is Verdict.DIFFERENT


def test_operations_of_the_user_are_compared_by_code() -> None:
    def build(power: int) -> Any:
        class Power(keras.Operation):
            def call(self, x: Any) -> Any:
                return x**power

            def compute_output_spec(self, x: Any) -> Any:
                return keras.KerasTensor(x.shape, x.dtype)

        return vectors(lambda x, L: Power()(x))

    assert compared(build(2), build(2)).verdict is Verdict.EQUIVALENT
    assert compared(build(2), build(3)).verdict is Verdict.DIFFERENT


def test_functions_of_the_user_are_compared_by_code() -> None:
    def build(sign: int) -> Any:
        def own(x: Any) -> Any:
            return sign * x

        return vectors(lambda x, L: L.Dense(3, activation=own)(x))

    assert compared(build(1), build(1)).verdict is Verdict.EQUIVALENT
    assert compared(build(1), build(-1)).verdict is Verdict.DIFFERENT


def test_lambda_layers_are_compared_by_code() -> None:
    ours = vectors(lambda x, L: L.Lambda(lambda y: y + 1)(x))
    same = vectors(lambda x, L: L.Lambda(lambda y: y + 1)(x))
    other = vectors(lambda x, L: L.Lambda(lambda y: y + 2)(x))
    assert compared(ours, same).verdict is Verdict.EQUIVALENT
    assert compared(ours, other).verdict is Verdict.DIFFERENT


def test_dtype_of_a_nested_input() -> None:
    def build(dtype: str) -> Any:
        inner_inputs = keras.Input((4,), dtype=dtype)
        inner = keras.Model(inner_inputs, keras.ops.cast(inner_inputs, "float32"))
        return vectors(lambda x, L: L.Dense(2)(inner(x)))

    assert compared(build("float32"), build("int32")).verdict is Verdict.DIFFERENT


def test_figures_are_json_and_name_what_differs() -> None:
    result = compared(forecaster(), forecaster(0.3, functional=True))
    figures = json.loads(json.dumps(to_jsonable(result.figures)))
    marked = [node["path"] for node in figures["reference"]["nodes"] if node["differs"]]
    assert marked == ["forecaster/drop"]
    assert figures["pairs"] == [[i, i] for i in range(6)]


def test_observation_survives_json() -> None:
    observed = graph.observe(forecaster()).graph
    assert observed is not None
    again = LayerGraph.from_dict(json.loads(json.dumps(observed.to_dict())))
    other = graph.observe(forecaster(0.3))
    assert told(graph.compare(graph.GraphObservation(again), other)) == [("rate", 0.2, 0.3)]


def test_operations_stand_beside_the_nodes() -> None:
    model = forecaster()
    nodes, operations = layer_graph(model).nodes, operations_of(model)
    assert [node.path.split("/")[-1] for node in nodes] == [operation.name for operation in operations]


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_plot(suffix: str, tmp_path: Any) -> None:
    result = compared(forecaster(), forecaster(0.3, functional=True))
    path = result.plot(tmp_path / f"graph{suffix}")
    assert path.stat().st_size > 5000


def test_reading_a_graph_does_not_count_up_the_names_of_keras() -> None:
    import keras
    from keras import layers
    from keras.src.backend.common import global_state

    def stateful() -> keras.Model:
        return keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), layers.GRU(3, stateful=True)])

    pair = Pair(Twins(stateful(), stateful()))
    assert pair.reference is not pair.candidate
    before = dict(global_state.get_global_attribute("object_name_uids"))
    assert pair.layer_match is not None
    assert dict(global_state.get_global_attribute("object_name_uids")) == before


def test_names_that_agree_by_chance_are_told_so() -> None:
    def subtracted(swapped: bool) -> Any:
        first, second = keras.Input((3,), name="a"), keras.Input((3,), name="b")
        left, right = keras.layers.Dense(2, name="left"), keras.layers.Dense(2, name="right")
        one, other = (second, first) if swapped else (first, second)
        return keras.Model([first, second], left(one) - right(other))

    [message] = [f.message for f in compared(subtracted(False), subtracted(True)).differences]
    assert "on both sides, but these layers correspond to others than their names say" in message


def test_tensors_of_one_layer_are_told_apart() -> None:
    def decoder(swapped: bool) -> keras.Model:
        inputs = keras.Input((5, 3), name="steps")
        _, *states = layers.LSTM(4, return_state=True, name="encoder")(inputs)
        start = states[::-1] if swapped else states
        return keras.Model(inputs, layers.LSTM(4, name="decoder")(inputs, initial_state=start), name="net")

    [message] = [f.message for f in compared(decoder(False), decoder(True)).differences]
    assert "'net/encoder (output 1)', 'net/encoder (output 2)'] in the reference" in message
    assert message.endswith("inputs 1 and 2 are swapped")


class Same(layers.Layer):
    def call(self, x: Any) -> Any:
        return x


def test_layers_of_two_classes_read_alike_whatever_they_call_their_arguments() -> None:
    def build(layer: keras.layers.Layer) -> keras.Model:
        inputs = keras.Input((4,), name="x")
        return keras.Model(inputs, layers.Dense(2)(layer(inputs)), name="net")

    found = compared(build(layers.Dropout(0.5)), build(Same())).differences
    assert [finding.field for finding in found] == ["class"]


def test_a_lost_mask_is_called_a_mask() -> None:
    def build(*between: Any) -> keras.Model:
        tokens = keras.Input((5,), dtype="int32")
        x = layers.Embedding(9, 3, mask_zero=True)(tokens)
        for layer in between:
            x = layer(x)
        return keras.Model(tokens, layers.LSTM(4, name="rnn")(x), name="net")

    found = graph.compare(graph.observe(build()), graph.observe(build(layers.Reshape((5, 3)))))
    (finding,) = found.differences
    assert (finding.reference_layer, finding.field) == ("net/rnn", "mask")
    assert finding.message == "net/rnn (LSTM) reads a mask in the reference and no mask in the candidate"
