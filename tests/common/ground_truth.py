"""Whether two random recipes are different models: computed without the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tests.common.own_code import OWN
from tests.common.random_inputs import batch
from tests.common.random_models import Change, Recipe, builder

WITH_WEIGHTS = ("_initializer", "momentum", "learning", "unit_forget")
"""Changes that make another model whatever a pass shows, where the model has weights to train."""

Builder = Callable[[], keras.Model]


def differ(recipe: Recipe, change: Change, seeds: Sequence[int] = (0, 1, 2)) -> bool:
    """Whether a change makes a different model: the ground truth, computed without the package.

    Own code of two values is, and what only training tells where there are weights. Other changes are where,
    under the same weights and random seeds, any entry that `_observed` runs is apart by more than 1e-6 in
    float64 (relative to the largest value), or by more than 1e-3 in float32 where Keras has a layer that does
    not compute in float64; or where weights or outputs have other shapes.
    """
    feature = OWN.get(change.what.removeprefix("own ").partition("=")[0])
    if (feature and feature.weights) or any(kind in change.what for kind in WITH_WEIGHTS):
        return bool(builder(recipe)().trainable_variables)
    if feature is not None:
        return True
    return apart(builder(recipe), builder(change.recipe), recipe, seeds)


def apart(one: Builder, other: Builder, recipe: Recipe, seeds: Sequence[int], moved: float = 0.1) -> bool:
    """Whether two builders of recipes of one input differ in any entry, under the same seeds.

    Args:
        one: builder of one model.
        other: builder of the other.
        recipe: tells the input.
        seeds: the seeds to try.
        moved: how far the weights of both are moved from their starts, in the order of the one; 0 for models
            that hold them in other orders.
    """

    def distance() -> float:
        return max(_distance((one, other), recipe, seed, moved) for seed in seeds)

    try:
        return _in("float64", distance) > 1e-6
    except (tf.errors.OpError, TypeError, ValueError):  # what Keras does not compute in float64
        return _in("float32", distance) > 1e-3


def _in(dtype: str, distance: Callable[[], float]) -> float:
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        return distance()
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def _distance(builders: Sequence[Builder], recipe: Recipe, seed: int, moved: float) -> float:
    seen = []
    weights = None
    for build in builders:
        keras.utils.set_random_seed(seed)
        model = build()
        if moved:
            if weights is None:
                weights = [_moved(w, seed + i, moved) for i, w in enumerate(model.get_weights())]
            if [w.shape for w in weights] != [w.shape for w in model.get_weights()]:
                return float("inf")
            model.set_weights(weights)
        seen.append(_observed(model, batch(recipe.kind, seed)))
    one, other = seen
    if one.keys() != other.keys():
        return float("inf")
    return max((_relative(one[name], other[name]) for name in one), default=0.0)


def _moved(weight: Any, seed: int, distance: float) -> Any:
    if weight.dtype.kind != "f":
        return weight
    return weight + distance * np.abs(np.random.default_rng(seed).standard_normal(weight.shape))


def _observed(model: keras.Model, inputs: Any) -> dict[str, Any]:
    """Run every entry of a model on one batch: calls, steps, and what training makes of the outputs."""
    seen = {"plain call": model(inputs), "inference": model(inputs, training=False)}
    seen["training"] = model(inputs, training=True)
    seen |= {f"added loss {place}": tf.reduce_sum(one) for place, one in enumerate(model.losses)}
    seen["predict_step"] = model.predict_step((inputs,))
    targets = tf.cast(tf.ones_like(seen["inference"]), "float32") * 0.3
    for step in ("test_step", "train_step", "test_step"):  # the last one after the weights have moved
        model.reset_metrics()
        logs = getattr(model, step)((inputs, targets))
        seen |= {f"{step} {name} {len(seen)}": value for name, value in logs.items()}
    seen["inference after a step"] = model(inputs, training=False)
    return {name: np.asarray(tf.convert_to_tensor(value), "float64") for name, value in seen.items()}


def _relative(one: Any, other: Any) -> float:
    if one.shape != other.shape:
        return float("inf")
    if not one.size:
        return 0.0
    scale = max(np.abs(np.nan_to_num(one)).max(), np.abs(np.nan_to_num(other)).max(), 1e-30)
    difference = np.where(np.isnan(one) & np.isnan(other), 0.0, one - other)
    return float("inf") if np.isnan(difference).any() else float(np.abs(difference).max() / scale)
