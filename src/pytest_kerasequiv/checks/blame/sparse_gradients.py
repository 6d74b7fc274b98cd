"""Weights whose gradient is a list of rows on one side only: optimizers treat it in another way."""

from __future__ import annotations

import keras
import tensorflow as tf

from pytest_kerasequiv.checks.numeric.views import TwinView, views_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.layers.fixed_training import phase
from pytest_kerasequiv.running.differentiating import is_float
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.verdict import Finding
from pytest_kerasequiv.weights.variables import variables_of


def sparse_on_one_side(pair: Pair, check: str, probe: Probe) -> list[Finding]:
    """Return a finding for each weight whose gradient is sparse on one side and dense on the other.

    Args:
        pair: the twins.
        check: name of the check on whose behalf.
        probe: the batch.
    """
    views = views_of(pair)
    sparse = tuple(_sparse(view, probe) for view in views)
    labels = tuple(view.labels() for view in views)
    found = []
    for a, b in pair.variable_map.pairs:
        kinds = tuple("sparse" if i in side else "dense" for i, side in zip((a, b), sparse, strict=True))
        if kinds[0] != kinds[1]:
            ours, theirs = labels[0][a], labels[1][b]
            message = (
                f"the gradient of {str(ours)!r} is {kinds[0]} in the reference, {kinds[1]} in the candidate: "
                "Keras squares the rows of a sparse gradient (of an Embedding, say) before it adds those of "
                "one index, a dense one after, so that optimizers that square gradients train it otherwise"
            )
            layers = ours.layer, theirs.layer
            found.append(Finding.difference(check, "sparse_gradient", message, layers=layers, values=kinds))  # type: ignore[arg-type]
    return found


def _sparse(view: TwinView, probe: Probe) -> set[int]:
    """Return the variables, by index, whose gradients TensorFlow makes as rows and their indices."""
    runner = view.runner().under(view.values_for(probe))
    weights = [(i, v) for i, v in enumerate(variables_of(view.model)) if v.trainable]
    with runner.holding(), tf.GradientTape() as tape:
        outputs = view.model(runner.pack(probe.inputs), **phase(view.model, training=True))
        total = sum(keras.ops.sum(one) for one in keras.tree.flatten(outputs) if is_float(one))
    gradients = tape.gradient(total, [variable.value for _, variable in weights])
    return {
        index for (index, _), g in zip(weights, gradients, strict=True) if isinstance(g, tf.IndexedSlices)
    }
