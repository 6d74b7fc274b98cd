"""Layers for random models: what they take and give, and the values of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
from keras import layers

INPUTS: dict[str, tuple[tuple[int, ...], str]] = {
    "vector": ((6,), "float32"),
    "sequence": ((8, 4), "float32"),
    "image": ((8, 8, 3), "float32"),
    "volume": ((4, 4, 4, 2), "float32"),
    "frames": ((3, 4, 4, 2), "float32"),
    "rows": ((3, 6, 2), "float32"),
    "ids": ((7,), "int32"),
    "audio": ((64, 1), "float32"),
    "wave": ((64,), "float32"),
}
"""Kind of input -> shape of one sample, dtype."""


@dataclass(frozen=True)
class Part:
    """One class of layer: what it takes, what it gives, and the values of its arguments.

    Attributes:
        name: name in `keras.layers`.
        takes: kind of its input.
        gives: kind of its output; ``None`` for the kind that it takes.
        fixed: arguments that every layer of this part gets.
        values: argument -> its values; two values of one argument are two models.
        wraps: makes the layer from the class and its arguments, for wrappers and layers called otherwise.
    """

    name: str
    takes: str
    gives: str | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    wraps: Callable[..., Any] | None = None

    @property
    def layer_class(self) -> Any:
        """The class in `keras.layers`."""
        return getattr(layers, self.name)

    def make(self, arguments: Mapping[str, Any]) -> Any:
        """Return a new layer."""
        if self.wraps is not None:
            return self.wraps(self.layer_class, **self.fixed, **arguments)
        return self.layer_class(**self.fixed, **arguments)


ACTIVATIONS = ("relu", "tanh", "elu", "softplus")
STARTS = ("glorot_uniform", "he_normal")
WEIGHTED = {"activation": ACTIVATIONS, "kernel_initializer": STARTS, "use_bias": (True, False)}


def _part(name: str, takes: str, gives: str | None = None, wraps: Any = None, **values: Any) -> Part:
    fixed = {key: value for key, value in values.items() if not isinstance(value, tuple)}
    return Part(name, takes, gives, fixed, {k: v for k, v in values.items() if isinstance(v, tuple)}, wraps)


def _around(inner: Callable[..., Any]) -> Callable[..., Any]:
    def wraps(cls: Any, **arguments: Any) -> Any:
        return cls(inner(**arguments))

    return wraps


def _cells(cls: Any, units: int, activation: str) -> Any:
    cells = [layers.GRUCell(units), layers.SimpleRNNCell(units, activation=activation)]
    return layers.RNN(cls(cells))


def _one_cell(cls: Any, units: int, activation: str) -> Any:
    return layers.RNN(cls(units, activation=activation), return_sequences=True)


class SelfAttending(layers.Layer):
    """An attention layer that gets one sequence as query, value and key."""

    def __init__(self, inner: Any, *, needs_key: bool = False) -> None:
        super().__init__()
        self.inner, self.needs_key = inner, needs_key

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Attend to the sequence itself."""
        if isinstance(self.inner, layers.Attention | layers.AdditiveAttention):
            return self.inner([x, x, x], training=training)
        return self.inner(x, x, training=training)


def _attending(cls: Any, **arguments: Any) -> Any:
    return SelfAttending(cls(**arguments))


class Merging(layers.Layer):
    """A merge of a tensor with a fixed function of itself."""

    def __init__(self, inner: Any, factor: float) -> None:
        super().__init__()
        self.inner, self.factor = inner, factor

    def call(self, x: Any) -> Any:
        """Merge."""
        return self.inner([x, keras.ops.tanh(x) * self.factor])


def _merging(cls: Any, factor: float) -> Any:
    return Merging(cls(), factor)


def _wide(kind: str, dimensions: int) -> list[Part]:
    """Return the parts that exist for 1, 2 and 3 dimensions."""
    n = f"{dimensions}D"
    parts = [
        _part(f"Conv{n}", kind, filters=(3, 4), kernel_size=(2, 3), padding=("same", "valid"), **WEIGHTED),
        _part(f"Conv{n}Transpose", kind, filters=(2, 3), kernel_size=(2, 3), **WEIGHTED),
        _part(f"AveragePooling{n}", kind, pool_size=2, padding=("same", "valid"), strides=(1, 2)),
        _part(f"MaxPool{n}", kind, pool_size=2, padding=("same", "valid"), strides=(1, 2)),
        _part(f"AdaptiveAveragePooling{n}", kind, output_size=(2, 3)),
        _part(f"AdaptiveMaxPooling{n}", kind, output_size=(2, 3)),
        _part(f"GlobalAveragePooling{n}", kind, "vector"),
        _part(f"GlobalMaxPool{n}", kind, "vector"),
        _part(f"UpSampling{n}", kind, size=(2, 3)),
        _part(f"ZeroPadding{n}", kind, padding=(1, 2)),
        _part(f"Cropping{n}", kind, cropping=((1, 0) if dimensions == 1 else 1)),
        _part(f"SpatialDropout{n}", kind, rate=(0.2, 0.5)),
    ]
    if dimensions < 3:
        parts += [
            _part(
                f"DepthwiseConv{n}", kind, kernel_size=(2, 3), depth_multiplier=(1, 2), activation=ACTIVATIONS
            ),
            _part(f"SeparableConv{n}", kind, filters=(3, 4), kernel_size=(2, 3), activation=ACTIVATIONS),
        ]
    return parts


ANYWHERE = [
    _part("Activation", "any", activation=ACTIVATIONS),
    _part("ReLU", "any", negative_slope=(0.0, 0.1), max_value=(None, 1.0)),
    _part("LeakyReLU", "any", negative_slope=(0.1, 0.3)),
    _part("ELU", "any", alpha=(1.0, 0.7)),
    _part("PReLU", "any", alpha_initializer=("zeros", "ones")),
    _part("Softmax", "any"),
    _part("Dropout", "any", rate=(0.2, 0.3)),
    _part("AlphaDropout", "any", rate=(0.2, 0.3)),
    _part("GaussianDropout", "any", rate=(0.2, 0.3)),
    _part("GaussianNoise", "any", stddev=(0.1, 0.2)),
    _part("BatchNormalization", "any", momentum=(0.99, 0.9), epsilon=(1e-3, 1e-2), center=(True, False)),
    _part("LayerNormalization", "any", epsilon=(1e-3, 1e-2), scale=(True, False)),
    _part("RMSNormalization", "any", epsilon=(1e-6, 1e-2)),
    _part("UnitNormalization", "any"),
    _part("Rescaling", "any", scale=(0.5, 2.0), offset=(0.0, 0.1)),
    _part("ActivityRegularization", "any", l2=(0.01, 0.1)),
    _part("Identity", "any"),
    _part("Dense", "any", units=(3, 4), **WEIGHTED),
    _part("EinsumDense", "any", equation="...a,ab->...b", output_shape=((None, 3)), activation=ACTIVATIONS),
    _part("SpectralNormalization", "any", wraps=_around(layers.Dense), units=(3, 4), activation=ACTIVATIONS),
    _part("Add", "any", wraps=_merging, factor=(1.0, 2.0)),
    _part("Subtract", "any", wraps=_merging, factor=(1.0, 2.0)),
    _part("Multiply", "any", wraps=_merging, factor=(1.0, 2.0)),
    _part("Average", "any", wraps=_merging, factor=(1.0, 2.0)),
    _part("Maximum", "any", wraps=_merging, factor=(1.0, 2.0)),
    _part("Minimum", "any", wraps=_merging, factor=(1.0, 2.0)),
    _part("Concatenate", "any", wraps=_merging, factor=(1.0, 2.0)),
]

RECURRENT: dict[str, Any] = {"units": (3, 4), "return_sequences": True, "activation": ("tanh", "relu")}

PARTS: tuple[Part, ...] = (
    *ANYWHERE,
    *_wide("sequence", 1),
    *_wide("image", 2),
    *_wide("volume", 3),
    _part("LSTM", "sequence", **RECURRENT, unit_forget_bias=(True, False), dropout=(0.0, 0.2)),
    _part("GRU", "sequence", **RECURRENT, go_backwards=(False, True), reset_after=(True, False)),
    _part("SimpleRNN", "sequence", **RECURRENT, recurrent_initializer=("orthogonal", "glorot_uniform")),
    _part("LSTMCell", "sequence", wraps=_one_cell, units=(3, 4), activation=("tanh", "relu")),
    _part("StackedRNNCells", "sequence", "vector", wraps=_cells, units=(3, 4), activation=("tanh", "relu")),
    _part("Bidirectional", "sequence", wraps=_around(layers.GRU), **RECURRENT),
    _part("TimeDistributed", "sequence", wraps=_around(layers.Dense), units=(3, 4), activation=ACTIVATIONS),
    _part("Masking", "sequence", mask_value=(0.0, 1.0)),
    _part(
        "MultiHeadAttention",
        "sequence",
        wraps=_attending,
        num_heads=(1, 2),
        key_dim=(2, 3),
        dropout=(0.0, 0.2),
    ),
    _part(
        "GroupQueryAttention",
        "sequence",
        wraps=_attending,
        num_query_heads=2,
        num_key_value_heads=(1, 2),
        head_dim=2,
    ),
    _part("Attention", "sequence", wraps=_attending, use_scale=(False, True), score_mode=("dot", "concat")),
    _part("AdditiveAttention", "sequence", wraps=_attending, use_scale=(True, False)),
    _part("Permute", "sequence", dims=(2, 1)),
    _part("GroupNormalization", "image", groups=1, epsilon=(1e-3, 1e-2)),
    _part("ConvLSTM1D", "rows", "sequence", filters=(2, 3), kernel_size=2, activation=("tanh", "relu")),
    _part("ConvLSTM2D", "frames", "image", filters=(2, 3), kernel_size=2, activation=("tanh", "relu")),
    _part("Resizing", "image", height=5, width=(5, 6), interpolation=("bilinear", "nearest")),
    _part("CenterCrop", "image", height=4, width=(4, 5)),
    _part("Flatten", "image", "vector"),
    _part("Reshape", "sequence", "vector", target_shape=(-1,)),
    _part("RepeatVector", "vector", "sequence", n=(2, 3)),
    _part("Embedding", "ids", "sequence", input_dim=11, output_dim=(3, 4), mask_zero=(False, True)),
    _part("ReversibleEmbedding", "ids", "sequence", input_dim=11, output_dim=(3, 4)),
    _part("CategoryEncoding", "ids", "vector", num_tokens=11, output_mode=("multi_hot", "count")),
    _part(
        "Discretization", "vector", bin_boundaries=([-1.0, 0.0, 1.0]), output_mode=("one_hot", "multi_hot")
    ),
    _part(
        "STFTSpectrogram",
        "audio",
        "sequence",
        frame_length=16,
        frame_step=(8, 16),
        window=("hann", "hamming"),
    ),
    _part(
        "MelSpectrogram",
        "wave",
        "sequence",
        sequence_stride=8,
        fft_length=16,
        num_mel_bins=(4, 5),
        sampling_rate=64,
    ),
    *(
        _part(name, "image", **values)
        for name, values in {
            "RandomFlip": {"mode": ("horizontal", "vertical")},
            "RandomRotation": {"factor": (0.1, 0.2)},
            "RandomTranslation": {"height_factor": 0.1, "width_factor": (0.1, 0.2)},
            "RandomZoom": {"height_factor": (0.1, 0.2)},
            "RandomContrast": {"factor": (0.1, 0.4)},
            "RandomBrightness": {"factor": (0.1, 0.4)},
            "RandomCrop": {"height": 6, "width": (6, 7)},
            "RandomErasing": {"factor": 1.0, "scale": ((0.1, 0.2))},
            "RandomGaussianBlur": {"factor": 1.0, "kernel_size": 3, "sigma": (1.0, 2.0)},
            "RandomShear": {"x_factor": (0.1, 0.3)},
            "RandomGrayscale": {"factor": (0.5, 1.0)},
        }.items()
    ),
)

SPECIAL_VALUES = {
    "EinsumDense": {"output_shape": (None, 3)},
    "Permute": {"dims": (2, 1)},
    "Reshape": {"target_shape": (-1,)},
    "RandomErasing": {"scale": (0.1, 0.2)},
    "Discretization": {"bin_boundaries": [-1.0, 0.0, 1.0]},
    "Cropping1D": {"cropping": (1, 0)},
}
"""Arguments whose one value is a tuple."""

NOT_COVERED = {
    "AugMix, AutoContrast, ContrastLimitedAdaptiveHistogramEqualization, CutMix, Equalization, "
    "MaxNumBoundingBoxes, MixUp, RandAugment, RandomColorDegeneration, RandomColorJitter, "
    "RandomElasticTransform, RandomHue, RandomInvert, "
    "RandomPerspective, RandomPosterization, RandomSaturation, RandomSharpness, Solarization, Pipeline": (
        "augmentation of images in 0..255, of the same kind as the Random* layers that are covered"
    ),
    "FlaxLayer, JaxLayer, TorchModuleWrapper, TFSMLayer": "need another framework or an exported model",
    "StringLookup, IntegerLookup, TextVectorization, Hashing, HashedCrossing, Normalization": (
        "take data (vocabularies, statistics) that a recipe does not hold; they have tests of their own"
    ),
    "Dot, Layer, Lambda, Wrapper, InputLayer, InputSpec, RNN, GRUCell, SimpleRNNCell, ConvLSTM3D": (
        "base classes, inputs, and what other parts make inside"
    ),
}
"""Classes that no recipe draws, and why."""
