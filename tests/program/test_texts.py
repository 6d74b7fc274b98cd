"""Operations on texts must be the same; numbers never say so."""

import keras
import pytest
import tensorflow as tf
from keras import layers

from pytest_kerasequiv import compare
from pytest_kerasequiv.program import trace
from pytest_kerasequiv.program.texts import texts_apart

WORDS = ["the", "cat", "dog"]


def net(standardize, split="whitespace", after=lambda x: x):
    inputs = keras.Input((1,), dtype="string")
    tokens = layers.TextVectorization(
        vocabulary=WORDS, standardize=standardize, split=split, output_sequence_length=4
    )(inputs)
    return keras.Model(inputs, after(layers.Embedding(9, 3)(tokens)))


def tidy(x):
    return tf.strings.regex_replace(tf.strings.lower(x), "<br />", " ")


def tidy_in_steps(x):
    lowered = tf.strings.lower(x)
    return tf.strings.regex_replace(lowered, "<br />", " ")


def tidy_first(x):
    return tf.strings.lower(tf.strings.regex_replace(x, "<br />", " "))


def lower(x):
    return tf.strings.lower(x)


def other_tag(x):
    return tf.strings.regex_replace(tf.strings.lower(x), "<hr />", " ")


def cut(x):
    return tf.strings.substr(tf.strings.lower(x), 0, 500)


def apart(one, other):
    return texts_apart(trace(net(one)), trace(net(other)))


@pytest.mark.parametrize("other", [lower, other_tag, tidy_first, cut])
def test_other_operations_on_texts_are_a_parting(other):
    (parting,) = apart(tidy, other)
    assert parting.field == "text"
    assert "text_vectorization" in parting.reference_layer
    assert not parting.rounds


def test_the_same_operations_written_otherwise_are_none():
    assert apart(tidy, tidy_in_steps) == ()


@pytest.mark.parametrize(
    ("one", "other", "verdict"),
    [(tidy, tidy_in_steps, "EQUIVALENT"), (tidy, lower, "INCONCLUSIVE"), (tidy, other_tag, "INCONCLUSIVE")],
)
def test_numbers_on_some_texts_do_not_decide(one, other, verdict):
    report = compare(lambda: net(one), lambda: net(other), checks=("program", "weights", "outputs"))
    assert report.verdict.name == verdict


def test_another_way_to_split_is_inconclusive():
    report = compare(
        lambda: net(tidy, lambda x: tf.strings.split(x, ";;")),
        lambda: net(tidy, lambda x: tf.strings.split(x, "||")),
        checks=("program", "weights", "outputs"),
    )
    assert report.verdict.name == "INCONCLUSIVE"


def test_numbers_decide_over_what_follows_the_texts():
    ours, theirs = (lambda: net(tidy, after=lambda x: x + x)), (lambda: net(tidy, after=lambda x: 2.0 * x))
    assert compare(ours, theirs, checks=("program", "weights", "outputs")).verdict.name == "EQUIVALENT"


class Table(layers.Layer):
    def __init__(self, values):
        super().__init__()
        pairs = tf.lookup.KeyValueTensorInitializer(["rare", "word"], tf.constant(values))
        self.table = tf.lookup.StaticHashTable(pairs, 0.0)

    def call(self, x):
        return self.table.lookup(x)

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, "float32")


def table(values):
    inputs = keras.Input((3,), dtype="string")
    return keras.Model(inputs, layers.Dense(2)(Table(values)(inputs)))


def test_the_content_of_a_table_is_part_of_the_program():
    report = compare(lambda: table([1.0, 2.0]), lambda: table([1.0, 3.0]))
    assert report.verdict.name == "INCONCLUSIVE"
    assert compare(lambda: table([1.0, 2.0]), lambda: table([1.0, 2.0])).verdict.name == "EQUIVALENT"
