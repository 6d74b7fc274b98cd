"""The entries in which two programs are the same although they part in others."""

import keras
from keras import layers

from pytest_kerasequiv.program import match_programs, trace
from pytest_kerasequiv.program.proof import same_entries


def model(*, rate=0.2, units=4, momentum=0.9, loss="mse", epsilon=1e-3):
    inputs = keras.Input((6,))
    hidden = layers.Dropout(rate)(layers.Dense(units, activation="relu")(inputs))
    hidden = layers.BatchNormalization(momentum=momentum, epsilon=epsilon)(hidden)
    made = keras.Model(inputs, layers.Dense(2)(hidden))
    made.compile("sgd", loss)
    return made


def same(reference, candidate):
    programs = trace(reference), trace(candidate)
    assert not match_programs(*programs).proved
    count = len(programs[0].variables)
    return same_entries(*programs, tuple((i, i) for i in range(count)))


def test_what_acts_in_training_alone_leaves_inference_the_same():
    assert same(model(), model(rate=0.3)) == {"inference", "loss and metrics"}
    assert same(model(), model(momentum=0.8)) == {"inference", "loss and metrics"}


def test_another_loss_leaves_inference_the_same():
    assert same(model(), model(loss="mae")) == {"inference"}


def test_what_acts_in_both_leaves_what_comes_after():
    assert same(model(), model(epsilon=1e-2)) == {"loss and metrics"}


def test_nothing_is_the_same_under_no_map_or_another():
    ours, theirs = trace(model()), trace(model(rate=0.3))
    count = len(ours.variables)
    assert same_entries(ours, theirs, tuple((i, i) for i in range(count - 1))) == frozenset()
    kinds = [variable.kind for variable in ours.variables]
    one, other = next((i, j) for i in range(count) for j in range(i) if kinds[i] == kinds[j])
    swapped = {one: other, other: one}
    exchanged = tuple((i, swapped.get(i, i)) for i in range(count))
    assert "inference" not in same_entries(ours, theirs, exchanged)


def test_nothing_is_said_where_a_side_cannot_be_traced_or_has_other_entries():
    plain = model()
    plain.compiled = False
    assert same(model(), plain) == frozenset()
