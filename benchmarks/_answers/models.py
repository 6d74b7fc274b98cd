"""The models whose answers are timed; a part of this file's builders is declared in a gate."""

import keras
from keras import layers


def question(*, functional=False, rate=0.2):
    """Return a builder of the question's forecaster."""

    def build():
        stack = [
            layers.Conv1D(4, 7, activation="relu"),
            layers.Conv1D(6, 11, activation="relu"),
            layers.LSTM(100, return_sequences=True, activation="relu"),
            layers.Dropout(rate),
            layers.LSTM(100, activation="relu"),
            layers.Dense(2, activation="relu"),
            layers.Reshape((1, 2)),
        ]
        inputs = keras.Input((60, 2))
        if not functional:
            return keras.Sequential([inputs, *stack])
        outputs = inputs
        for layer in stack:
            outputs = layer(outputs)
        return keras.Model(inputs, outputs)

    return build


def chain(length):
    """Return a builder of a chain of Dense layers."""

    def build():
        outputs = inputs = keras.Input((8,))
        for _ in range(length):
            outputs = layers.Dense(8, activation="relu")(outputs)
        return keras.Model(inputs, outputs)

    return build


def application(name, side, **options):
    """Return a builder of an architecture of keras.applications."""

    def build():
        return getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), **options)

    return build


def _cloned(build, clone):
    return lambda: keras.models.clone_model(build(), clone_function=clone)


def _one_epsilon(layer):
    config = layer.get_config()
    if layer.name == "conv3_block2_2_bn":
        config["epsilon"] *= 1.1
    return type(layer).from_config(config)


def _as_dense(layer):
    """Clone a layer; a 1x1 convolution of stride 1 as a Dense over the channels."""
    if isinstance(layer, layers.Conv2D) and layer.kernel_size == (1, 1) and layer.strides == (1, 1):
        return layers.Dense(
            layer.filters, activation=layer.activation, use_bias=layer.use_bias, name=layer.name
        )
    return type(layer).from_config(layer.get_config())


def mlp():
    """Return a builder of a small MLP."""

    def build():
        return keras.Sequential([keras.Input((8,)), layers.Dense(16, activation="relu"), layers.Dense(1)])

    return build


RESNET = application("ResNet50", 64, classes=10)
MOBILENET = application("MobileNetV2", 96, classes=10)

PROVED = [
    ("question", (question(), question(functional=True)), "4 times and 2 s"),
    ("ResNet50", (RESNET, RESNET), "3 times and 12 s"),
    ("MobileNetV2", (MOBILENET, MOBILENET), "3 times"),
    ("chain", (chain(100), chain(100)), "3 times"),
]

DIFFERENT = [
    ("dropout", (question(), question(functional=True, rate=0.25)), 3),
    ("epsilon", (RESNET, _cloned(RESNET, _one_epsilon)), 15),
]

REWRITTEN = (application("ResNet50", 224), _cloned(application("ResNet50", 224), _as_dense))


def _functional(inputs, stack):
    outputs = inputs
    for layer in stack:
        outputs = layer(outputs)
    return keras.Model(inputs, outputs)


def _dense():
    return [
        layers.Dense(32, activation="relu"),
        layers.Dropout(0.1),
        layers.Dense(16, activation="relu"),
        layers.Dense(1),
    ]


def _convolutions():
    return [
        layers.Conv2D(8, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        layers.Conv2D(16, 3, activation="relu"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3),
    ]


def _recurrent():
    return [layers.Conv1D(8, 3, activation="relu"), layers.GRU(16), layers.Dense(1)]


def mlp_reference():
    return keras.Sequential([keras.Input((12,)), *_dense()])


def mlp_candidate():
    return _functional(keras.Input((12,)), _dense())


def cnn_reference():
    return keras.Sequential([keras.Input((16, 16, 3)), *_convolutions()])


def cnn_candidate():
    return _functional(keras.Input((16, 16, 3)), _convolutions())


def rnn_reference():
    return keras.Sequential([keras.Input((20, 4)), *_recurrent()])


def rnn_candidate():
    return _functional(keras.Input((20, 4)), _recurrent())


def attention_reference():
    tokens = keras.Input((12, 16))
    seen = layers.MultiHeadAttention(2, 8)(tokens, tokens)
    hidden = layers.LayerNormalization()(layers.Add()([tokens, seen]))
    return keras.Model(tokens, layers.Dense(2)(layers.GlobalAveragePooling1D()(hidden)))


def attention_candidate():
    tokens = keras.Input((12, 16))
    seen = layers.MultiHeadAttention(2, 8)(tokens, tokens)
    hidden = layers.LayerNormalization()(tokens + seen)
    return keras.Model(tokens, layers.Dense(2)(layers.GlobalAveragePooling1D()(hidden)))


def embedding_reference():
    return keras.Sequential(
        [
            keras.Input((10,), dtype="int32"),
            layers.Embedding(50, 8),
            layers.GlobalAveragePooling1D(),
            layers.Dense(4, activation="softmax"),
        ]
    )


def embedding_candidate():
    stack = [
        layers.Embedding(50, 8),
        layers.GlobalAveragePooling1D(),
        layers.Dense(4, activation="softmax"),
    ]
    return _functional(keras.Input((10,), dtype="int32"), stack)


SMALL = {
    "mlp": (mlp_reference, mlp_candidate),
    "cnn": (cnn_reference, cnn_candidate),
    "rnn": (rnn_reference, rnn_candidate),
    "attention": (attention_reference, attention_candidate),
    "embedding": (embedding_reference, embedding_candidate),
}
