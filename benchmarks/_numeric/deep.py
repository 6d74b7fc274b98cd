"""Deep models, each with a rewrite that rounds differently all the way through, and small faults in them."""

import keras
from keras import layers


def resnet50():
    """Return ResNet50 on images of 64 pixels."""
    return keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=10)


def resnet50_rewritten():
    """Return it with every 1x1 convolution of stride 1 as a Dense over the channels."""
    return keras.models.clone_model(resnet50(), clone_function=as_dense)


def as_dense(layer):
    """Clone a layer; a 1x1 convolution of stride 1 as a Dense over the channels."""
    if isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1) and layer.strides == (1, 1):
        return layers.Dense(
            layer.filters, activation=layer.activation, use_bias=layer.use_bias, name=layer.name
        )
    return type(layer).from_config(layer.get_config())


def transformer(*, blocks=12, epsilon=1e-3, activation="gelu", convolved=False):
    """Return an encoder over 24 tokens; `convolved`: its Dense layers as Conv1D of kernel 1."""

    def dense(units, activation=None):
        if convolved:
            return layers.Conv1D(units, 1, activation=activation)
        return layers.Dense(units, activation=activation)

    tokens = keras.Input((24,), dtype="int32")
    x = layers.Embedding(100, 32)(tokens)
    for _ in range(blocks):
        seen = layers.MultiHeadAttention(4, 8, dropout=0.1)(x, x)
        x = layers.LayerNormalization(epsilon=epsilon)(layers.Add()([x, seen]))
        hidden = dense(32)(dense(64, activation)(x))
        x = layers.LayerNormalization(epsilon=epsilon)(layers.Add()([x, hidden]))
    return keras.Model(tokens, layers.Dense(5)(layers.GlobalAveragePooling1D()(x)))


def recurrent(*, steps=200, convolved=False):
    """Return an LSTM behind a Dense on each step; `convolved`: that as Conv1D of kernel 1."""
    inputs = keras.Input((steps, 3))
    x = (layers.Conv1D(8, 1) if convolved else layers.Dense(8))(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.LSTM(16)(x)))


def gelu_tanh(x):
    """Return the tanh approximation of gelu."""
    return keras.ops.gelu(x, approximate=True)


DEEP = {
    "ResNet50": (resnet50, resnet50_rewritten),
    "12-block transformer": (transformer, lambda: transformer(convolved=True)),
    "200-step LSTM": (recurrent, lambda: recurrent(convolved=True)),
}
