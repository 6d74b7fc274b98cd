"""Check `outputs` on models that are not plain: stateful, random, masked, many outputs, NaN, other dtypes."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops
from tests.common.models import around, functional

import pytest_kerasequiv
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import outputs
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.reporting.causes import culprit
from pytest_kerasequiv.verdict import Verdict


def run(reference, candidate, **options):
    inputs = options.pop("inputs", None)
    return outputs.CHECK(Pair(Twins(reference, candidate, **options)), inputs=inputs)


def stack(*made, shape=(6,)):
    return keras.Sequential([keras.Input(shape), *made], name="net")


def test_stateful_models_are_called_twice():
    def build(stateful):
        inputs = keras.Input(batch_shape=(2, 5, 3))
        return keras.Model(inputs, layers.Dense(1)(layers.LSTM(2, stateful=stateful)(inputs)))

    result = run(lambda: build(stateful=True), lambda: build(stateful=False))
    assert result.verdict is Verdict.DIFFERENT
    same = run(lambda: build(stateful=True), lambda: build(stateful=True))
    assert same.verdict is Verdict.EQUIVALENT
    assert any("second call" in row["what"] for row in same.figures["outputs"])


class AlwaysDropout(layers.Layer):
    """Drops at inference too."""

    def __init__(self, own_generator=True, **kwargs):
        super().__init__(**kwargs)
        self.own_generator = own_generator
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, x):
        if self.own_generator:
            return keras.random.dropout(x, 0.5, seed=self.seeds)
        return x * tf.random.uniform(tf.shape(x))


def test_randomness_at_inference_is_reported_and_coupled():
    result = run(
        lambda: stack(layers.Dense(4), AlwaysDropout(), layers.Dense(2)),
        lambda: stack(layers.Dense(4), layers.Activation("linear"), AlwaysDropout(), layers.Dense(2)),
    )
    assert result.verdict is Verdict.EQUIVALENT, [str(f) for f in result.findings]
    assert "stochastic" in {f.field for f in result.notes}


def test_randomness_outside_keras_is_inconclusive():
    result = run(
        lambda: stack(layers.Dense(4), AlwaysDropout(own_generator=False)),
        lambda: stack(layers.Dense(4), layers.Dropout(0.1), AlwaysDropout(own_generator=False)),
    )
    assert result.verdict is not Verdict.EQUIVALENT
    if result.verdict is Verdict.INCONCLUSIVE:
        assert result.findings[0].field == "stochastic"


def two_heads(order=(0, 1), keys=None):
    inputs = keras.Input((4,))
    heads = [layers.Dense(2, name="one")(inputs), layers.Dense(2, name="two", activation="tanh")(inputs)]
    picked = [heads[k] for k in order]
    return keras.Model(inputs, dict(zip(keys, picked, strict=True)) if keys else picked)


def test_swapped_outputs_are_different_and_dicts_go_by_key():
    swapped = run(two_heads, lambda: two_heads(order=(1, 0)))
    assert swapped.verdict is Verdict.DIFFERENT
    assert any("another order" in str(f) for f in swapped.notes)
    by_key = run(lambda: two_heads(keys=("a", "b")), lambda: two_heads(order=(1, 0), keys=("b", "a")))
    assert by_key.verdict is Verdict.EQUIVALENT, [str(f) for f in by_key.findings]
    renamed = run(lambda: two_heads(keys=("a", "b")), lambda: two_heads(keys=("a", "c")))
    assert renamed.verdict is Verdict.DIFFERENT
    assert "outputs" in {f.field for f in renamed.differences}


def test_dict_inputs_go_by_name():
    def build(swapped):
        a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
        joined = layers.Concatenate()([layers.Dense(2, name="da")(a), layers.Dense(2, name="db")(b)])
        order = {"b": b, "a": a} if swapped else {"a": a, "b": b}
        return keras.Model(order, layers.Dense(1)(joined))

    batch = {"a": np.ones((2, 3)), "b": np.zeros((2, 3))}
    assert (
        run(lambda: build(swapped=False), lambda: build(swapped=True), inputs=batch).verdict
        is Verdict.EQUIVALENT
    )


def test_mask_that_is_lost_is_a_difference():
    def build(keep):
        tokens = keras.Input((6,), dtype="int32")
        x = layers.Embedding(9, 4, mask_zero=True, name="embed")(tokens)
        x = layers.Dense(4, name="dense")(x) if keep else layers.Conv1D(4, 1, name="dense")(x)
        return keras.Model(tokens, layers.LSTM(3)(x))

    assert run(lambda: build(keep=True), lambda: build(keep=False)).verdict is Verdict.DIFFERENT


class Padded(layers.Layer):
    """Masks what is zero."""

    def compute_mask(self, inputs, previous=None):
        return keras.ops.any(keras.ops.not_equal(inputs, 0), axis=-1)

    def call(self, x):
        return x


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    "before",
    [
        (layers.Masking,),
        (layers.Masking, lambda: layers.Rescaling(2.0)),
        (Padded, lambda: layers.Rescaling(2.0)),
    ],
)
def test_a_mask_on_one_side_only_is_seen(before, turned):
    masking, *first = before
    sides = [
        lambda: stack(*[make() for make in first], masking(), layers.LSTM(2), shape=(5, 3)),
        lambda: stack(*[make() for make in first], layers.LSTM(2), shape=(5, 3)),
    ]
    result = run(*(sides[::-1] if turned else sides))
    assert result.verdict is Verdict.DIFFERENT


def test_a_length_built_into_the_code_is_seen():
    def build(function):
        inputs = keras.Input((None, 3))
        return keras.Model(inputs, function(inputs))

    def mean(x):
        return layers.GlobalAveragePooling1D()(x)

    assert (
        run(lambda: build(mean), lambda: build(lambda x: keras.ops.mean(x, 1))).verdict is Verdict.EQUIVALENT
    )
    wrong = run(lambda: build(mean), lambda: build(lambda x: keras.ops.sum(x, 1) / 16.0))
    assert wrong.verdict is Verdict.DIFFERENT
    assert any("of size" in str(finding) or "other lengths" in str(finding) for finding in wrong.findings)


@pytest.mark.parametrize("standardize", [None, "lower", "strip_punctuation"])
def test_another_standardisation_of_texts_is_seen(standardize):
    def build(**settings):
        text = layers.TextVectorization(output_sequence_length=4, vocabulary=["a", "b"], **settings)
        return keras.Sequential(
            [keras.Input((1,), dtype="string"), text, layers.Embedding(5, 3), layers.Flatten()]
        )

    assert run(build, lambda: build(standardize=standardize)).verdict is Verdict.DIFFERENT


def logarithm(x):
    return keras.ops.log(x)


def test_nan_on_both_sides_is_a_note_and_nan_everywhere_is_inconclusive():
    some = run(
        lambda: stack(layers.Dense(2), layers.Activation(logarithm)),
        lambda: stack(layers.Dense(2), layers.Lambda(logarithm)),
    )
    assert some.verdict is Verdict.EQUIVALENT, [str(f) for f in some.findings]
    assert "nonfinite" in {f.field for f in some.notes}

    def never(x):
        return keras.ops.log(-1.0 - keras.ops.square(x))

    nothing = run(
        lambda: stack(layers.Dense(2), layers.Activation(never)),
        lambda: stack(layers.Dense(2), layers.Lambda(never)),
    )
    assert nothing.verdict is Verdict.INCONCLUSIVE


def test_overflow_on_one_side_is_a_difference():
    def stable(x):
        return keras.ops.logsumexp(x, axis=-1, keepdims=True)

    def naive(x):
        return keras.ops.log(keras.ops.sum(keras.ops.exp(x), axis=-1, keepdims=True))

    result = run(
        lambda: stack(layers.Dense(2), layers.Lambda(stable)),
        lambda: stack(layers.Dense(2), layers.Lambda(naive)),
    )
    assert result.verdict is Verdict.DIFFERENT
    assert "on one side only" in str(result.findings[-1]) + "".join(map(str, result.findings))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "bfloat16", "float64"])
def test_other_dtypes_have_tolerances_that_fit(policy):
    def build(*pooling, epsilon=1e-3):
        keras.config.set_dtype_policy(policy)
        norm = layers.BatchNormalization(epsilon=epsilon, name="norm")
        return stack(
            layers.Conv1D(8, 3), norm, layers.ReLU(), *[p() for p in pooling], layers.Dense(3), shape=(16, 3)
        )

    def pooled(**settings):
        return lambda: build(lambda: layers.AveragePooling1D(14), layers.Flatten, **settings)

    whole = lambda: build(layers.GlobalAveragePooling1D)  # noqa: E731
    same = run(whole, pooled())
    assert same.verdict is Verdict.EQUIVALENT, [str(f) for f in same.findings]
    assert same.figures["tolerance"]["origin"] == "derived"
    assert run(whole, pooled(epsilon=1.5e-3)).verdict is Verdict.DIFFERENT


class Hard(layers.Layer):
    """Computes in float32 whatever its policy says."""

    def call(self, x):
        return keras.ops.cast(keras.ops.tanh(keras.ops.cast(x, "float32")), x.dtype)


def test_hard_coded_float32_falls_back_to_defaults_and_says_so():
    def build(*pooling):
        return stack(layers.Conv1D(4, 3), Hard(), *[p() for p in pooling], layers.Dense(2), shape=(12, 3))

    result = run(
        lambda: build(layers.GlobalAveragePooling1D),
        lambda: build(lambda: layers.AveragePooling1D(10), layers.Flatten),
    )
    assert result.verdict is Verdict.EQUIVALENT, [str(f) for f in result.findings]
    assert result.figures["tolerance"]["origin"] == "default"
    assert "float32" in result.figures["tolerance"]["why"]


@pytest.mark.parametrize("policies", [("mixed_float16", "float32"), ("mixed_bfloat16", "mixed_float16")])
def test_another_compute_dtype_is_not_hidden_by_the_coarser_ones_rounding(policies):
    reference, candidate = (
        lambda policy=policy: stack(layers.Dense(8, dtype=policy), layers.Dense(2)) for policy in policies
    )
    result = run(reference, candidate)
    assert result.verdict is Verdict.DIFFERENT
    assert result.differences[0].field == "dtype"
    loose = outputs.CHECK(Pair(Twins(reference, candidate)), rtol=0.1, atol=1.0)
    assert loose.verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("turned", [False, True])
def test_another_dtype_of_the_output_is_not_hidden_by_its_rounding(turned):
    mixed = {"dtype": "mixed_bfloat16"}
    sides = [
        lambda: stack(layers.Dense(8, **mixed), layers.Dense(2, **mixed)),
        lambda: stack(layers.Dense(8, **mixed), layers.Dense(2, dtype="float32")),
    ]
    result = run(*(sides[::-1] if turned else sides))
    assert result.verdict is Verdict.DIFFERENT
    found = {finding.field: (finding.reference, finding.candidate) for finding in result.differences}
    told = ("bfloat16", "float32")
    assert found["dtype"] == (told[::-1] if turned else told)


def test_integer_inputs_of_unknown_range_are_probed_beyond_what_either_side_clips_at():
    def build(most):
        ids = keras.Input((4,), dtype="int32", name="ids")
        return keras.Model(ids, layers.Dense(2)(keras.ops.one_hot(keras.ops.minimum(ids, most), 10)))

    assert run(lambda: build(9), lambda: build(5)).verdict is Verdict.DIFFERENT
    assert run(lambda: build(9), lambda: build(9)).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("kind", ["complex64", "datetime64[s]", "timedelta64[s]", "O"])
def test_inputs_that_are_no_numbers_are_refused(kind):
    def build():
        return keras.Sequential([keras.Input((2,)), layers.Dense(1)])

    with pytest.raises(InputError, match=r"has dtype .*; pass an array of numbers or of strings"):
        run(build, build, inputs=np.zeros((3, 2)).astype(kind))


def test_masked_inputs_are_refused():
    inputs = np.ma.masked_greater(np.arange(6.0).reshape(3, 2), 4)
    build = around((2,), lambda: layers.Dense(1))
    with pytest.raises(InputError, match="inputs holds a masked array, whose mask Keras would not see"):
        run(build, build, inputs=inputs)


@pytest.mark.parametrize("dtypes", [("int32", "float32"), ("float32", "int32"), ("uint8", "int32")])
def test_what_only_one_side_takes_as_it_is_is_tried(dtypes):
    models = [functional(lambda x: layers.Dense(2)(ops.cast(x, "float32")), (4,), dtype=d) for d in dtypes]
    report = pytest_kerasequiv.compare(*models, weights="copy")
    assert report.verdict is Verdict.DIFFERENT, report
    assert "dtype" in {finding.field for finding in report["graph"].differences}


@pytest.mark.parametrize("dtypes", [("int32", "float32"), ("float32", "int32"), ("int64", "int32")])
def test_ids_are_whole_numbers_in_any_dtype(dtypes):
    models = [functional(layers.Embedding(9, 3), (4,), dtype=dtype) for dtype in dtypes]
    report = pytest_kerasequiv.compare(*models, weights="copy")
    assert report.verdict is Verdict.EQUIVALENT, report


def test_an_input_of_another_dtype_is_named_before_the_layer_that_reads_it():
    models = [functional(layers.Rescaling(1 / 255), (4, 4, 3), dtype=dtype) for dtype in ("uint8", "float32")]
    finding = culprit(pytest_kerasequiv.compare(*models))
    assert (finding.check, finding.field, finding.reference) == ("graph", "dtype", "uint8")


def looked_up(bounded=None):
    def build():
        ids = keras.Input((5,), dtype="int32")
        rows = layers.Embedding(20, 3)(ids if bounded is None else bounded(ids))
        return keras.Model(ids, layers.Dense(2)(layers.Flatten()(rows)))

    return build


GUARDS = {
    "where": lambda ids: ops.where(ids >= 20, 0, ids),
    "minimum": lambda ids: ops.minimum(ids, 19),
    "maximum": lambda ids: ops.maximum(ids, 0),
    "clip": lambda ids: ops.clip(ids, 0, 19),
    "mod": lambda ids: ops.mod(ids, 20),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_ids_that_the_reference_alone_keeps_in_bounds_are_tried(guard):
    result = run(looked_up(GUARDS[guard]), looked_up())
    assert result.verdict is Verdict.DIFFERENT
    refused = "only the candidate refuses" in str(result.differences)
    assert refused is (guard != "maximum")  # of negative ones Keras counts from the end
    assert run(looked_up(), looked_up(GUARDS[guard])).verdict is Verdict.EQUIVALENT


def test_ids_beyond_the_table_go_to_other_rows():
    assert run(looked_up(GUARDS["where"]), looked_up(GUARDS["minimum"])).verdict is Verdict.DIFFERENT
    as_before = looked_up(lambda ids: ops.maximum(ops.minimum(ids, 19), 0))
    assert run(looked_up(GUARDS["clip"]), as_before).verdict is Verdict.EQUIVALENT
