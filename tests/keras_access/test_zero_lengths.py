"""Windows that find no place on their input are refused under every version of Keras."""

import keras
import pytest
from keras import layers

from pytest_kerasequiv import InputError, Twins
from pytest_kerasequiv.keras_access.zero_lengths import zero_lengths_refused

NO_PLACE = {
    "convolution": (lambda: layers.Conv1D(2, 6), (5, 1)),
    "dilated": (lambda: layers.Conv1D(2, 3, dilation_rate=2), (4, 1)),
    "depthwise": (lambda: layers.DepthwiseConv2D((1, 6)), (7, 5, 1)),
    "separable": (lambda: layers.SeparableConv1D(2, 6), (5, 1)),
    "pooling": (lambda: layers.AveragePooling2D((6, 1), strides=1), (5, 5, 1)),
    "channels first": (lambda: layers.MaxPooling1D(6, strides=1, data_format="channels_first"), (1, 5)),
    "recurrent": (lambda: layers.ConvLSTM1D(2, 6), (3, 5, 1)),
    "an operation": (lambda: lambda x: keras.ops.max_pool(x, 6, strides=1), (5, 1)),
}


@pytest.mark.parametrize("kind", NO_PLACE)
def test_a_window_that_is_one_step_too_wide(kind):
    window, shape = NO_PLACE[kind]
    with zero_lengths_refused(), pytest.raises(ValueError, match="zero or negative"):
        window()(keras.Input(shape))


def test_what_is_empty_on_purpose_is_built():
    with zero_lengths_refused():
        assert layers.Conv1D(1, 1, padding="same")(keras.Input((0, 1))).shape == (None, 0, 1)
        assert layers.MaxPooling1D(5)(keras.Input((5, 1))).shape == (None, 1, 1)
        assert layers.Conv1D(1, 9)(keras.Input((None, 1))).shape == (None, None, 1)


def test_keras_is_as_before_afterwards():
    before = keras.src.ops.operation_utils.compute_conv_output_shape
    with pytest.raises(ZeroDivisionError), zero_lengths_refused():
        raise ZeroDivisionError
    assert keras.src.ops.operation_utils.compute_conv_output_shape is before


def empty_twin(units):
    return keras.Sequential(
        [keras.Input((16, 2)), layers.Conv1D(4, 7), layers.Conv1D(6, 11), layers.LSTM(units), layers.Dense(1)]
    )


def test_the_shortest_input_is_one_that_runs():
    with pytest.raises(InputError, match=r"'conv1d_1'.*gets 10 steps but needs at least 11.*17 steps"):
        _ = Twins(lambda: empty_twin(3), lambda: empty_twin(4)).reference


def test_a_model_of_lengths_zero_is_refused_as_it_stands():
    try:
        model = empty_twin(3)
    except ValueError:
        pytest.skip("this Keras refuses to build it")
    with pytest.raises(InputError, match="gets 10 steps but needs at least 11"):
        _ = Twins(model, lambda: empty_twin(4)).reference
