"""Benign rewrites of one layer of a random model: other layers or operations that compute the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
from keras import layers, ops
from tests.common import random_models as rm
from tests.common.random_layers import PARTS, Part

Steps = Sequence[Callable[[Any], Any]]
"""What is called instead of a layer, one after the other."""

Rewrite = Callable[[Part, Mapping[str, Any]], Steps]


def _activation_apart(part: Part, given: Mapping[str, Any]) -> Steps:
    plain = part.make({**given, "activation": None})
    return [plain, layers.Activation(given["activation"])]


def _activation_by_function(_part: Part, given: Mapping[str, Any]) -> Steps:
    return [keras.activations.get(given["activation"])]


def _positive_axis(part: Part, given: Mapping[str, Any]) -> Steps:
    return [lambda x: part.layer_class(axis=len(x.shape) - 1, **given)(x)]


def _by_arithmetic(_part: Part, given: Mapping[str, Any]) -> Steps:
    return [lambda x: x * given["scale"] + given["offset"]]


def _slope_by_maximum(_part: Part, given: Mapping[str, Any]) -> Steps:
    return [lambda x: ops.maximum(x, given["negative_slope"] * x)]


def _over_a_cell(cell: Callable[..., Any], taken: Sequence[str]) -> Rewrite:
    def rewrite(part: Part, given: Mapping[str, Any]) -> Steps:
        inside = {name: value for name, value in given.items() if name in taken}
        outside = {name: value for name, value in given.items() if name not in taken}
        return [layers.RNN(cell(**inside), **part.fixed, **outside)]

    return rewrite


def _plain(*steps: Callable[[], Callable[[Any], Any]]) -> Rewrite:
    """Return a rewrite that does not depend on the arguments."""
    return lambda _part, _given: [make() for make in steps]


def _op(function: Callable[[Any], Any]) -> Rewrite:
    return lambda _part, _given: [function]


def _padded(_part: Part, given: Mapping[str, Any]) -> Steps:
    width = given["padding"]
    return [lambda x: ops.pad(x, [(0, 0), *[(width, width)] * (len(x.shape) - 2), (0, 0)])]


REWRITES: dict[str, tuple[Rewrite, ...]] = {
    **dict.fromkeys(("Dense", "Conv1D", "Conv2D", "Conv3D", "Conv1DTranspose"), (_activation_apart,)),
    **dict.fromkeys(("SeparableConv1D", "SeparableConv2D", "DepthwiseConv2D"), (_activation_apart,)),
    "Activation": (_activation_by_function,),
    "BatchNormalization": (_positive_axis,),
    "LayerNormalization": (_positive_axis,),
    "Rescaling": (_by_arithmetic,),
    "LeakyReLU": (_slope_by_maximum,),
    "ELU": (lambda _part, given: [lambda x: keras.activations.elu(x, alpha=given["alpha"])],),
    "Softmax": (_op(ops.softmax), _plain(lambda: layers.Activation("softmax"))),
    "Identity": (_op(lambda x: x * 1), _op(lambda x: x + 0)),
    "Flatten": (_plain(lambda: layers.Reshape((-1,))),),
    "Reshape": (_plain(layers.Flatten),),
    "Permute": (_op(lambda x: ops.transpose(x, (0, 2, 1))),),
    "RepeatVector": (lambda _part, given: [lambda x: ops.repeat(x[:, None], given["n"], axis=1)],),
    "GlobalAveragePooling1D": (_op(lambda x: ops.mean(x, axis=1)),),
    "GlobalAveragePooling2D": (_op(lambda x: ops.mean(x, axis=(1, 2))),),
    "GlobalMaxPool1D": (_op(lambda x: ops.max(x, axis=1)),),
    "GlobalMaxPool2D": (_op(lambda x: ops.max(ops.max(x, axis=1), axis=1)),),
    "ZeroPadding1D": (_padded,),
    "ZeroPadding2D": (_padded,),
    "LSTM": (_over_a_cell(layers.LSTMCell, ("units", "activation", "unit_forget_bias", "dropout")),),
    "GRU": (_over_a_cell(layers.GRUCell, ("units", "activation", "reset_after")),),
    "SimpleRNN": (_over_a_cell(layers.SimpleRNNCell, ("units", "activation", "recurrent_initializer")),),
    "TimeDistributed": (lambda _part, given: [layers.Dense(**given)],),
    "UnitNormalization": (_op(lambda x: ops.normalize(x, axis=-1, order=2, epsilon=1e-12)),),
}
"""Class of a layer -> what may stand in its place."""


def rewrites(recipe: rm.Recipe) -> Iterator[tuple[str, Callable[[], keras.Model]]]:
    """Yield builders of a recipe with one layer rewritten, and which it is.

    Operations carry no masks on, so that recipes with a mask have none.
    """
    if any(PARTS[index].name == "Masking" or ("mask_zero", True) in given for index, given in recipe.layers):
        return
    for place, (index, given) in enumerate(recipe.layers):
        if dict(given).get("dropout", 0.0) == 0.0:
            for rewrite in REWRITES.get(PARTS[index].name, ()):
                yield PARTS[index].name, rm.builder(recipe, make=_with(place, rewrite))


def _with(place: int, rewrite: Rewrite) -> Callable[[rm.Recipe], list[Any]]:
    """Return what makes the layers of a recipe, with other steps in one place."""

    def make(recipe: rm.Recipe) -> list[Any]:
        made = rm.make_layers(recipe)
        index, given = recipe.layers[place]
        return [*made[:place], *rewrite(PARTS[index], dict(given)), *made[place + 1 :]]

    return make
