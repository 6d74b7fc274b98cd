"""Blame for what a call is handed besides numbers: arguments, training, masks and who drops them; shapes."""

from functools import partial

import keras
import pytest
from keras import layers
from tests.common.models import building

from pytest_kerasequiv import compare
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import gradients, outputs, updates
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.verdict import Verdict

net = partial(building, name="net")


def found(reference, candidate, check="outputs", **options):
    """Return the first finding of a check that finds the twins different, and its report."""
    report = compare(reference, candidate, checks=[check], **options)
    assert report[check].verdict is Verdict.DIFFERENT
    return report[check].findings[0], report


def words(*between, mask=True):
    def body(tokens):
        x = layers.Embedding(9, 3, mask_zero=mask, name="words")(tokens)
        for make in between:
            x = make()(x)
        return layers.SimpleRNN(4, name="rnn")(x)

    return net((5,), body, dtype="int32")


class Scaling(layers.Layer):
    """A layer of the user's that says nothing about masks."""

    def call(self, x):
        return x * 1.0


DROPPING = [lambda: layers.Reshape((5, 3), name="mix"), lambda: Scaling(name="mix")]


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("dropping", DROPPING)
def test_the_layer_that_drops_a_mask_is_named(dropping, turned):
    twins = [words(), words(dropping)]
    first, report = found(*(twins[::-1] if turned else twins))
    side = "reference" if turned else "candidate"
    assert (first.field, getattr(first, f"{side}_layer")) == ("mask", "net/mix")
    assert f"of the {side} drops it" in first.message
    assert str(first.reference if turned else first.candidate) == "none"
    assert "otEqual" not in str(report)


def test_a_pair_of_layers_of_which_one_drops_the_mask_is_named():
    twins = words(lambda: layers.Dense(3, name="mix")), words(lambda: layers.Conv1D(3, 1, name="mix"))
    first, _ = found(*twins)
    assert (first.reference_layer, first.field, first.candidate) == ("net/mix", "class", "Conv1D")
    assert "makes another mask" in first.message


def test_the_setting_that_makes_no_mask_is_named():
    first, _ = found(words(), words(mask=False))
    assert (first.reference_layer, first.field) == ("net/words", "mask_zero")


def test_another_masked_value_is_named():
    def masked(value):
        return net((5, 3), lambda x: layers.SimpleRNN(4)(layers.Masking(value)(x)))

    first, _ = found(masked(0.0), masked(1.0))
    assert {first.reference, first.candidate} == {0.0, 1.0}


class Block(layers.Layer):
    """Attention within a layer of the user's."""

    def __init__(self, causal=None, **options):
        super().__init__(**options)
        self.attention, self.told = layers.MultiHeadAttention(2, 4, name="mha"), causal

    def build(self, shape):
        self.attention.build(shape, shape)

    def call(self, x):
        return self.attention(x, x, **({} if self.told is None else {"use_causal_mask": self.told}))


@pytest.mark.parametrize("within", [False, True])
def test_an_argument_of_a_call_is_named_as_such(within):
    def attending(**told):
        if within:
            return net((5, 3), Block(told.get("use_causal_mask"), name="block"))
        return net((5, 3), lambda x: layers.MultiHeadAttention(2, 4, name="mha")(x, x, **told))

    first, report = found(attending(), attending(use_causal_mask=True))
    assert first.reference_layer == ("net/block/mha" if within else "net/mha")
    assert (first.field, first.reference, first.candidate) == ("use_causal_mask", None, True)
    assert [f.field for f in report["outputs"].differences] == ["use_causal_mask", "value"]
    same = compare(attending(), attending(use_causal_mask=False), checks=["outputs"])
    assert same.verdict is Verdict.EQUIVALENT


class Classifier(keras.Model):
    """Leaves ``training`` to Keras, or settles it for its Dropout."""

    def __init__(self, **told):
        super().__init__(name="net")
        self.hidden, self.drop, self.told = (
            layers.Dense(8, name="hidden"),
            layers.Dropout(0.5, name="drop"),
            told,
        )

    def call(self, x, training=None):
        return self.drop(self.hidden(x), **self.told)


def test_a_call_that_settles_training_is_named():
    first, _ = found(Classifier, lambda: Classifier(training=False), "gradients", input_shape=(4,))
    assert (first.reference_layer, first.field) == ("net/drop", "training")
    assert (first.reference, first.candidate) == (True, False)


@pytest.mark.parametrize(
    ("field", "make"),
    [
        ("return_sequences", lambda other: layers.SimpleRNN(4, return_sequences=other, name="it")),
        ("keepdims", lambda other: layers.GlobalAveragePooling1D(keepdims=other, name="it")),
        ("padding", lambda other: layers.Conv1D(2, 3, padding="same" if other else "valid", name="it")),
    ],
)
def test_the_setting_behind_another_shape_is_named_once(field, make):
    twins = [net((5, 3), lambda x, other=other: layers.Dense(1)(make(other)(x))) for other in (False, True)]
    first, report = found(*twins)
    assert (first.reference_layer, first.field) == ("net/it", field)
    assert [f.field for f in report["outputs"].differences] == [field, "shape"]
    assert "likewise on" in report["outputs"].differences[1].message


@pytest.mark.parametrize("check", ["gradients", "updates"])
def test_targets_that_fit_only_one_side_are_told_as_other_shapes(check):
    twins = [net((6, 3), lambda x, k=k: layers.MaxPooling1D(k)(layers.Dense(2)(x))) for k in (2, 3)]
    first, _ = found(*twins, check)
    assert (first.field, first.reference, first.candidate) == ("shape", [(6, 3, 2)], [(6, 2, 2)])


@pytest.mark.parametrize("seed", range(6))
def test_updates_name_a_layer_and_not_the_loss_that_follows(seed):
    """Under some seeds the loss differs by more of what is allowed than any weight."""
    keras.utils.set_random_seed(seed)
    twins = [net((4,), layers.Dense(2, activation=activation, name="d")) for activation in ("relu", "elu")]
    first, report = found(*twins, "updates")
    assert (first.reference_layer or "").endswith("/d"), str(report)


@pytest.mark.parametrize("check", [outputs, gradients, updates])
def test_an_explanation_that_fails_leaves_the_answer(check, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no such layer")

    monkeypatch.setattr(check, "blame", broken)
    twins = [net((4,), layers.Dense(2, activation=activation)) for activation in ("relu", "elu")]
    result = check.CHECK(Pair(Twins(*twins)))
    assert result.verdict is Verdict.DIFFERENT
    assert "could not be looked for: RuntimeError: no such layer" in result.notes[-1].message


def test_another_layer_in_the_place_of_one_is_not_blamed_for_its_rounding():
    def written(scaled, rate):
        def build():
            inputs = keras.Input((6, 6, 1))
            hidden = keras.layers.Dropout(rate, name="drop")(keras.layers.Flatten()(scaled(inputs)))
            return keras.Model(inputs, keras.layers.Dense(2)(hidden))

        return build

    reference = written(keras.layers.Rescaling(1 / 255), 0.5)
    candidate = written(lambda inputs: inputs / 255, 0.4)
    found = compare(reference, candidate, checks=["graph", "gradients"])["gradients"].differences
    blamed = {one.candidate_layer for one in found if one.field in {"training", "inputs", "class"}}
    assert not any("divide" in str(layer) for layer in blamed)
    assert any(one.field == "rate" for one in found)
