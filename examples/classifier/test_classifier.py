"""Did tidying up change the network?"""

import pytest
from digits.data import load
from digits.models import forgetful, original, tidied

from pytest_kerasequiv import InputError, Training, Twins

COMPILE = {"optimizer": "adam", "loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"]}
TRAIN, TEST = load()


@pytest.mark.kerasequiv
def test_tidying_up_kept_the_network(keras_twins):
    twins = keras_twins(original, tidied, compile=COMPILE, name="digits")
    twins.assert_equivalent(training=Training(TRAIN, TEST, metrics=["accuracy"], epochs=8, seeds=20))


def test_tidying_up_kept_the_outputs_on_real_images(keras_twins):
    twins = keras_twins(original, tidied, compile=COMPILE, name="digits-outputs")
    twins.assert_same_outputs(inputs=TEST[0][:64])


def test_a_lost_skip_connection_is_found(keras_twins):
    twins = keras_twins(original, forgetful, compile=COMPILE, name="lost-skip")
    with pytest.raises(AssertionError, match="add"):
        twins.assert_equivalent()


def test_a_network_with_branches_has_no_sequential_twin():
    with pytest.raises(InputError, match=r"layer 'activation' \(Activation\) has 2 consumers"):
        _ = Twins(original).candidate
