"""Candidates that are functions of inputs: sessions of other runtimes, endpoints, plain NumPy."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pytest_kerasequiv import Function, Twins, Verdict, compare, record
from pytest_kerasequiv.building.functions import function_of
from pytest_kerasequiv.comparison import Comparison
from pytest_kerasequiv.errors import InputError


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8,))
    hidden = layers.Dense(64, activation="relu")(inputs)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(hidden))


@pytest.fixture(scope="module")
def by_hand(model):
    kernel, bias, last, offset = model.get_weights()

    def call(x):
        scores = np.maximum(x @ kernel + bias, 0) @ last + offset
        powers = np.exp(scores - scores.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)

    return call


def half(by_hand):
    return lambda x: by_hand(x).astype("float16").astype("float32")


SAME = {
    "arrays": lambda call: call,
    "a list of one array": lambda call: lambda x: [call(x)],
    "a dict": lambda call: lambda x: {"scores": call(x)},
    "nested lists of numbers": lambda call: lambda x: call(x).tolist(),
    "a tensor": lambda call: lambda x: tf.constant(call(x)),
    "half precision": lambda call: lambda x: call(x).astype("float16"),
    "half precision, as said": lambda call: Function(half(call), dtype="float16"),
    "it writes into its inputs": lambda call: lambda x: (call(x.copy()), x.fill(0))[0],
    "a partial": lambda call: functools.partial(lambda scale, x: call(x) * scale, 1.0),
}


@pytest.mark.parametrize("form", SAME)
def test_the_same_is_equivalent_in_outputs_alone(form, model, by_hand):
    report = compare(model, SAME[form](by_hand))
    assert report.verdict is Verdict.EQUIVALENT, str(report)
    assert report.evidence == "MEASURED"
    assert list(report.checks) == ["outputs"]
    assert set(report.not_run) == {"summary", "graph", "program", "weights", "gradients", "updates"}
    assert "nothing but its outputs can be seen" in str(report)


OTHER = {
    "a factor": (lambda call: lambda x: call(x) * 1.0001, "differs (as computed)"),
    "hidden half precision": (half, "differs (as computed)"),
    "another number of columns": (lambda call: lambda x: call(x)[:, :2], "other shapes"),
    "steps of a scale": (lambda call: lambda x: (127 * call(x)).astype("int8"), "a quantised model returns"),
}


@pytest.mark.parametrize("form", OTHER)
def test_another_function_is_different(form, model, by_hand):
    change, told = OTHER[form]
    report = compare(model, change(by_hand))
    assert report.verdict is Verdict.DIFFERENT
    assert told in report.findings[0].message


UNDECIDED = {
    "batches of one row": (
        lambda call: lambda x: call(x.reshape(1, 8)),
        "only the function refuses the probe",
    ),
    "random numbers": (
        lambda call: lambda x: call(x) + np.random.default_rng().normal(size=3),
        "the function returns other outputs when it is called again",
    ),
}


@pytest.mark.parametrize("form", UNDECIDED)
def test_what_cannot_be_compared_is_inconclusive(form, model, by_hand):
    change, told = UNDECIDED[form]
    report = compare(model, change(by_hand))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert told in report.findings[0].message


def test_a_reference_that_draws_or_keeps_state_is_not_agreed_with():
    class Noise(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.seeds = keras.random.SeedGenerator(0)

        def call(self, x):
            return x + keras.random.normal(keras.ops.shape(x), seed=self.seeds)

    noisy = keras.Sequential([keras.Input((3,)), Noise()])
    assert compare(noisy, lambda x: x).verdict is Verdict.INCONCLUSIVE
    sequences = keras.Input(batch_shape=(2, 4, 3))
    stateful = keras.Model(sequences, layers.GRU(2, stateful=True)(sequences))
    start = keras.models.clone_model(stateful)
    start.set_weights(stateful.get_weights())

    def fresh(x):
        start.layers[-1].reset_states()
        return start(x)

    report = compare(stateful, fresh)
    assert report.verdict is Verdict.DIFFERENT
    assert any(finding.field == "stateful" for finding in report.findings)


def test_several_inputs_and_outputs_come_in_the_structure_of_the_reference():
    one, other = keras.Input((2,), name="b"), keras.Input((2,), name="a", dtype="int32")
    added = layers.Add()([one, layers.Rescaling(2.0)(other)])
    model = keras.Model({"b": one, "a": other}, [added, layers.Rescaling(3.0)(one)])
    seen = []

    def call(given):
        seen.append({name: str(array.dtype) for name, array in given.items()})
        return given["b"] + 2 * given["a"].astype("float32"), 3 * given["b"]

    assert compare(model, call).verdict is Verdict.EQUIVALENT
    assert seen[0] == {"a": "int32", "b": "float32"}
    assert compare(model, lambda given: call(given)[::-1]).verdict is Verdict.DIFFERENT


def test_the_users_inputs_and_tolerance_count(model, by_hand):
    inputs = np.full((4, 8), 30.0, "float32")
    wrong = lambda x: by_hand(x) + (x == 30).all() * 0.1  # noqa: E731
    assert compare(model, wrong).verdict is Verdict.EQUIVALENT
    assert compare(model, wrong, inputs=inputs).verdict is Verdict.DIFFERENT
    assert compare(model, half(by_hand), atol=1e-3).verdict is Verdict.EQUIVALENT


def test_numbers_that_the_reference_compares_with_are_tried():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.ops.minimum(inputs, 5000.0))
    assert compare(model, lambda x: np.minimum(x, 5000.0)).verdict is Verdict.EQUIVALENT
    assert compare(model, lambda x: np.minimum(x, 4000.0)).verdict is Verdict.DIFFERENT


def test_checks_by_name_and_all(model, by_hand):
    assert compare(model, by_hand, checks="all").verdict is Verdict.EQUIVALENT
    graph = compare(model, by_hand, checks=["graph"])
    assert graph.verdict is Verdict.INCONCLUSIVE
    assert "not compared: the candidate is a function of inputs" in graph.findings[0].message


def test_a_fresh_reference_is_told(by_hand, model):
    report = compare(lambda: keras.models.clone_model(model), by_hand)
    assert report.verdict is Verdict.DIFFERENT
    assert "its weights are those of a fresh model" in report.findings[0].message


def needs_units(units):
    return keras.Sequential([keras.Input((8,)), layers.Dense(units)])


def test_a_builder_that_lacks_an_argument_is_no_function(model):
    with pytest.raises(
        InputError, match=r"needs one argument, so it was called with inputs.*functools.partial"
    ):
        compare(model, needs_units)
    with pytest.raises(InputError, match="returned a model; a builder is called without arguments"):
        compare(model, lambda _: model)


@pytest.mark.parametrize(
    ("candidate", "taken"),
    [
        (lambda: None, False),
        (lambda x: x, True),
        (lambda x, scale=2: x, True),
        (lambda x=None: x, False),
        (lambda *x: x, False),
        (lambda x, y: x, False),
        (lambda *, x: x, False),
        (keras.Sequential, False),
        ("module:function", False),
        (Function(lambda *x: x), True),
        (layers.Dense(2), False),
        (7, False),
    ],
)
def test_what_is_taken_for_a_function(candidate, taken):
    assert (function_of(candidate) is not None) is taken


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda m, f, p: Function(3), "call=3 cannot be called"),
        (lambda m, f, p: Function(f, dtype="int8"), "dtype='int8' is unknown; choose from float16"),
        (lambda m, f, p: Twins(m, f, weights="copy"), "weights='copy' cannot be used with a function"),
        (
            lambda m, f, p: Twins(m, f, backend="jax"),
            "backend='jax' goes with a model, and candidate 'call' is",
        ),
        (lambda m, f, p: Twins(m, f).candidate, "is a function of inputs, so there is no model of it"),
        (lambda m, f, p: Twins(p, f), "is a recording; pass the model that it was made of"),
        (
            lambda m, f, p: compare(m, lambda x: f(x[:, :3])),
            "raised ValueError.* for every batch; let",
        ),
    ],
)
def test_what_is_refused(make, told, model, by_hand, tmp_path):
    path = tmp_path / "reference.kerasequiv"
    if "recording" in told:
        record(model, path)
    else:
        path.write_bytes(b"")
    with pytest.raises(InputError, match=told):
        make(model, by_hand, path)


def test_reports_name_it(model, by_hand):
    report = Comparison(Twins(model, Function(by_hand, name="served"))).report()
    assert report.context["candidate"] == "served"
    assert Twins(model, lambda x: x).candidate_label.startswith("<lambda> (test_function_outputs.py:")


def lite(model, *, quantised=False):
    """A function that runs the model, converted to TFLite."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT] if quantised else []
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    (given,), (returned,) = interpreter.get_input_details(), interpreter.get_output_details()

    def call(x):
        interpreter.resize_tensor_input(given["index"], x.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(given["index"], x)
        interpreter.invoke()
        return interpreter.get_tensor(returned["index"])

    return call


@pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated")
def test_tflite():
    keras.utils.set_random_seed(1)
    stack = [layers.Conv2D(16, 3, activation="relu"), layers.BatchNormalization(), layers.Flatten()]
    model = keras.Sequential([keras.Input((8, 8, 3)), *stack, layers.Dense(64, "relu"), layers.Dense(4)])
    assert compare(model, lite(model)).verdict is Verdict.EQUIVALENT
    quantised = compare(model, lite(model, quantised=True))
    assert quantised.verdict is Verdict.DIFFERENT
    assert "smallest tolerance that would pass" in quantised.findings[0].message


def test_onnx(model):
    onnx = pytest.importorskip("onnx", reason="onnx is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    held = dict(zip(("k", "b", "l", "o"), model.get_weights(), strict=True))
    steps = [
        onnx.helper.make_node("Gemm", ["x", "k", "b"], ["h"]),
        onnx.helper.make_node("Relu", ["h"], ["r"]),
        onnx.helper.make_node("Gemm", ["r", "l", "o"], ["s"]),
        onnx.helper.make_node("Softmax", ["s"], ["y"], axis=-1),
    ]
    tensors = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["batch", size])
        for name, size in (("x", 8), ("y", 3))
    ]

    def session():
        values = [onnx.numpy_helper.from_array(value, name) for name, value in held.items()]
        graph = onnx.helper.make_graph(steps, "g", tensors[:1], tensors[1:], values)
        made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
        return runtime.InferenceSession(made.SerializeToString())

    same = session()
    assert compare(model, lambda x: same.run(None, {"x": x})).verdict is Verdict.EQUIVALENT
    held["o"] = held["o"] + np.float32([1e-4, 0, 0])
    other = session()
    assert compare(model, lambda x: other.run(None, {"x": x})).verdict is Verdict.DIFFERENT
