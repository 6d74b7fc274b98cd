"""Whether two random recipes are different models: computed without the package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tests.common.random_inputs import batch
from tests.common.random_models import Change, Recipe, builder

ALWAYS_ANOTHER = ("own ", "loss", "learning")
"""Changes that make another model whatever a pass under the same weights shows."""

ANOTHER_WITH_WEIGHTS = (
    "own start",
    "own gradient_factor",
    "_initializer",
    "momentum",
    "learning",
    "unit_forget",
)
"""Changes of which that is true where the model has weights to train."""


def differ(recipe: Recipe, change: Change, seeds: Sequence[int] = (0, 1, 2)) -> bool:
    """Whether a change makes a different model: the ground truth, computed without the package.

    By its kind; else where, under the same weights and random seeds, outputs or gradients, at inference or in
    training, are apart by more than 1e-6 in float64 (relative to the largest value), or by more than 1e-3 in
    float32 where Keras has a layer that does not compute in float64; or weights or outputs have other shapes.
    """
    if any(kind in change.what for kind in ANOTHER_WITH_WEIGHTS):
        return bool(builder(recipe)().trainable_variables)
    if any(kind in change.what for kind in ALWAYS_ANOTHER):
        return True
    try:
        return _distance_in("float64", recipe, change.recipe, seeds) > 1e-6
    except (tf.errors.OpError, TypeError, ValueError):  # what Keras does not compute in float64
        return _distance_in("float32", recipe, change.recipe, seeds) > 1e-3


def _distance_in(dtype: str, recipe: Recipe, other: Recipe, seeds: Sequence[int]) -> float:
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        return max(_distance(recipe, other, seed) for seed in seeds)
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def _distance(recipe: Recipe, other: Recipe, seed: int) -> float:
    seen = []
    weights = None
    for one in (recipe, other):
        keras.utils.set_random_seed(seed)
        model = builder(one)()
        if weights is None:
            weights = [_moved(w, seed + i) for i, w in enumerate(model.get_weights())]
        if [w.shape for w in weights] != [w.shape for w in model.get_weights()]:
            return float("inf")
        model.set_weights(weights)
        seen.append(_observed(model, batch(one.kind, seed)))
    return max((_relative(a, b) for a, b in zip(*seen, strict=False)), default=0.0)


def _moved(weight: Any, seed: int) -> Any:
    if weight.dtype.kind != "f":
        return weight
    return weight + 0.1 * np.abs(np.random.default_rng(seed).standard_normal(weight.shape))


def _observed(model: keras.Model, inputs: Any) -> list[Any]:
    inference = model(inputs, training=False)
    with tf.GradientTape() as tape:
        outputs = model(inputs, training=True)
        added = [tf.cast(tf.reduce_sum(one), "float64") for one in model.losses]
        loss = tf.add_n([tf.reduce_mean(tf.square(tf.cast(outputs, "float64") - 0.3)), *added])
    gradients = tape.gradient(
        loss, [v.value for v in model.trainable_variables], unconnected_gradients="zero"
    )
    dense = [tf.convert_to_tensor(g) for g in gradients]
    return [np.asarray(t, "float64") for t in (inference, outputs, loss, *dense)]


def _relative(one: Any, other: Any) -> float:
    if one.shape != other.shape:
        return float("inf")
    if not one.size:
        return 0.0
    scale = max(np.abs(np.nan_to_num(one)).max(), np.abs(np.nan_to_num(other)).max(), 1e-30)
    difference = np.where(np.isnan(one) & np.isnan(other), 0.0, one - other)
    return float("inf") if np.isnan(difference).any() else float(np.abs(difference).max() / scale)
