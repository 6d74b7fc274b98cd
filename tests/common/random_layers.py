"""Layers for random models: what they take and give, and the values of their arguments."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras import layers
from tests.common.wrapped_layers import (
    adapted,
    around,
    attending,
    cells,
    crossing,
    dotted,
    merging,
    one_cell,
    piped,
    scaled_by_code,
)


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
EINSUM = {"equation": "...a,ab->...b", "output_shape": (None, 3)}
WEIGHTED = {"activation": ACTIVATIONS, "kernel_initializer": STARTS, "use_bias": (True, False)}


def _part(
    name: str, takes: str, gives: str | None = None, wraps: Any = None, always: Any = (), **values: Any
) -> Part:
    """Return a part; arguments that are tuples are values to choose from, others and ``always`` are fixed."""
    fixed = {key: value for key, value in values.items() if not isinstance(value, tuple)} | dict(always)
    return Part(name, takes, gives, fixed, {k: v for k, v in values.items() if isinstance(v, tuple)}, wraps)


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
        _part(f"Cropping{n}", kind, always={"cropping": (1, 0) if dimensions == 1 else 1}),
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
    _part("EinsumDense", "any", always=EINSUM, activation=ACTIVATIONS),
    _part("SpectralNormalization", "any", wraps=around(layers.Dense), units=(3, 4), activation=ACTIVATIONS),
    _part("Normalization", "any", axis=None, mean=(0.0, 0.5), variance=(1.0, 2.0), invert=(False, True)),
    _part("Lambda", "any", wraps=scaled_by_code, factor=(1.0, 2.0)),
    _part("Add", "any", wraps=merging, factor=(1.0, 2.0)),
    _part("Subtract", "any", wraps=merging, factor=(1.0, 2.0)),
    _part("Multiply", "any", wraps=merging, factor=(1.0, 2.0)),
    _part("Average", "any", wraps=merging, factor=(1.0, 2.0)),
    _part("Maximum", "any", wraps=merging, factor=(1.0, 2.0)),
    _part("Minimum", "any", wraps=merging, factor=(1.0, 2.0)),
    _part("Concatenate", "any", wraps=merging, factor=(1.0, 2.0)),
]

VOCABULARIES = (["a", "b", "c"], ["b", "a", "c"])
RECURRENT: dict[str, Any] = {"units": (3, 4), "return_sequences": True, "activation": ("tanh", "relu")}

RANDOM_IMAGES: dict[str, Any] = {
    "RandomFlip": {"mode": ("horizontal", "vertical")},
    "RandomRotation": {"factor": (0.1, 0.2)},
    "RandomTranslation": {"height_factor": 0.1, "width_factor": (0.1, 0.2)},
    "RandomZoom": {"height_factor": (0.1, 0.2)},
    "RandomContrast": {"factor": (0.1, 0.4)},
    "RandomBrightness": {"factor": (0.1, 0.4)},
    "RandomCrop": {"height": 6, "width": (6, 7)},
    "RandomErasing": {"factor": (1.0, 0.5), "always": {"scale": (0.1, 0.2)}},
    "RandomGaussianBlur": {"factor": 1.0, "kernel_size": 3, "sigma": (1.0, 2.0)},
    "RandomShear": {"x_factor": (0.1, 0.3)},
    "RandomGrayscale": {"factor": (0.5, 1.0)},
    "RandomElasticTransform": {"factor": (1.0, 0.5), "scale": (1.0, 0.5)},
    "RandomPerspective": {"factor": (1.0, 0.5), "scale": (1.0, 0.5)},
    "CutMix": {"factor": (1.0, 0.5)},
    "MixUp": {"alpha": (0.2, 0.4)},
}
"""Augmentation -> values, for images of any range."""

PIXELS: dict[str, Any] = {
    "AugMix": {"factor": (0.3, 0.5), "num_chains": (3, 2)},
    "AutoContrast": {},
    "ContrastLimitedAdaptiveHistogramEqualization": {
        "clip_limit": (4.0, 2.0),
        "always": {"tile_grid_size": (2, 2)},
    },
    "Pipeline": {"wraps": piped, "factor": (0.1, 0.4)},
    "RandAugment": {"num_ops": (2, 1), "factor": (0.5, 0.3)},
    "RandomColorDegeneration": {"factor": (0.5, 0.3)},
    "RandomColorJitter": {"brightness_factor": (0.2, 0.3), "contrast_factor": (0.2, 0.3)},
    "RandomHue": {"factor": (0.2, 0.3)},
    "RandomInvert": {"factor": (1.0, 0.5)},
    "RandomPosterization": {"factor": (3, 5)},
    "RandomSaturation": {"factor": (0.2, 0.4)},
    "RandomSharpness": {"factor": (0.2, 0.4)},
    "Solarization": {"threshold_factor": (0.5, 0.3), "addition_factor": (0.0, 0.3)},
}
"""Augmentation -> values, for images in 0 to 255."""

_PARTS: tuple[Part, ...] = (
    *ANYWHERE,
    *_wide("sequence", 1),
    *_wide("image", 2),
    *_wide("volume", 3),
    _part("LSTM", "sequence", **RECURRENT, unit_forget_bias=(True, False), dropout=(0.0, 0.2)),
    _part("GRU", "sequence", **RECURRENT, go_backwards=(False, True), reset_after=(True, False)),
    _part("SimpleRNN", "sequence", **RECURRENT, recurrent_initializer=("orthogonal", "glorot_uniform")),
    *(
        _part(name, "sequence", wraps=one_cell, units=(3, 4), activation=("tanh", "relu"))
        for name in ("LSTMCell", "GRUCell", "SimpleRNNCell")
    ),
    _part(
        "RNN", "sequence", "vector", wraps=around(layers.LSTMCell), units=(3, 4), activation=("tanh", "relu")
    ),
    _part("StackedRNNCells", "sequence", "vector", wraps=cells, units=(3, 4), activation=("tanh", "relu")),
    _part("Bidirectional", "sequence", wraps=around(layers.GRU), **RECURRENT),
    _part("TimeDistributed", "sequence", wraps=around(layers.Dense), units=(3, 4), activation=ACTIVATIONS),
    _part("Masking", "sequence", mask_value=(0.0, 1.0)),
    _part(
        "MultiHeadAttention",
        "sequence",
        wraps=attending,
        num_heads=(1, 2),
        key_dim=(2, 3),
        dropout=(0.0, 0.2),
    ),
    _part(
        "GroupQueryAttention",
        "sequence",
        wraps=attending,
        num_query_heads=2,
        num_key_value_heads=(1, 2),
        head_dim=2,
    ),
    _part("Attention", "sequence", wraps=attending, use_scale=(False, True), score_mode=("dot", "concat")),
    _part("AdditiveAttention", "sequence", wraps=attending, use_scale=(True, False)),
    _part("Permute", "sequence", always={"dims": (2, 1)}),
    _part("GroupNormalization", "image", groups=1, epsilon=(1e-3, 1e-2)),
    _part("ConvLSTM1D", "rows", "sequence", filters=(2, 3), kernel_size=2, activation=("tanh", "relu")),
    _part("ConvLSTM2D", "frames", "image", filters=(2, 3), kernel_size=2, activation=("tanh", "relu")),
    _part("ConvLSTM3D", "clips", "volume", filters=(2, 3), kernel_size=2, activation=("tanh", "relu")),
    _part("Dot", "sequence", wraps=dotted, normalize=(False, True)),
    _part("Normalization", "vector", wraps=adapted, spread=(1.0, 2.0)),
    _part("Resizing", "image", height=5, width=(5, 6), interpolation=("bilinear", "nearest")),
    _part("CenterCrop", "image", height=4, width=(4, 5)),
    _part("Flatten", "image", "vector"),
    _part("Reshape", "sequence", "vector", always={"target_shape": (-1,)}),
    _part("RepeatVector", "vector", "sequence", n=(2, 3)),
    _part("Embedding", "ids", "sequence", input_dim=11, output_dim=(3, 4), mask_zero=(False, True)),
    _part("ReversibleEmbedding", "ids", "sequence", input_dim=11, output_dim=(3, 4)),
    _part("CategoryEncoding", "ids", "vector", num_tokens=11, output_mode=("multi_hot", "count")),
    _part(
        "Discretization",
        "vector",
        bin_boundaries=([-1.0, 0.0, 1.0], [-1.0, 0.0, 1.1]),
        output_mode=("one_hot", "multi_hot"),
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
    _part(
        "StringLookup", "words", "ids", vocabulary=(["a", "b", "c"], ["b", "a", "c"]), num_oov_indices=(1, 2)
    ),
    _part(
        "TextVectorization",
        "text",
        "ids",
        vocabulary=VOCABULARIES,
        output_sequence_length=7,
        standardize=("lower_and_strip_punctuation", None),
    ),
    _part("IntegerLookup", "ids", vocabulary=([1, 3, 5], [3, 1, 5]), num_oov_indices=(1, 2)),
    _part("Hashing", "ids", num_bins=(7, 5)),
    _part("HashedCrossing", "ids", wraps=crossing, num_bins=(7, 5)),
    *(_part(name, "image", **values) for name, values in RANDOM_IMAGES.items()),
    *(_part(name, "pixels", **values) for name, values in PIXELS.items()),
    _part("Rescaling", "pixels", "image", scale=(1 / 255, 1 / 127.5), offset=(0.0, -1.0)),
)
PARTS = tuple(part for part in _PARTS if hasattr(layers, part.name))
"""Those that this Keras has."""

NOT_COVERED = {
    "FlaxLayer, JaxLayer, TorchModuleWrapper, TFSMLayer": "need another framework or an exported model",
    "Equalization": "Keras makes no functional model of it: it returns its input, a cycle",
    "MaxNumBoundingBoxes": "takes bounding boxes beside images and leaves images as they are",
    "Layer, Wrapper, InputLayer, InputSpec": "base classes and inputs, which are in every model",
}
"""Classes that no recipe draws, and why."""
