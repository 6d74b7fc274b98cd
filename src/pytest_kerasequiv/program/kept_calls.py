"""Keeping the traced inference and training of a model, so that what runs it need not trace it again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.keras_access.compile_state import loss_in_force
from pytest_kerasequiv.program.assembling import Traced
from pytest_kerasequiv.program.traced_calls import Outputs
from pytest_kerasequiv.program.tracing_functions import places
from pytest_kerasequiv.running.ready import ReadyCall, keep_ready
from pytest_kerasequiv.running.running import is_large, loops_long
from pytest_kerasequiv.weights.variables import variables_of

ADDED = "added loss in training"


def keep_calls(
    model: keras.Model, outputs: Outputs | None, inference: Traced | None, training: Traced | None
) -> None:
    """Keep the two calls with the model where it is run in traced functions; a large model's inference alone.

    An eager pass of training lets go of what it no longer needs, a traced one takes twice the memory.

    Args:
        model: the model.
        outputs: what it returns.
        inference: its traced inference; ``None`` where it could not be traced, or other tracing of it would
            give other results.
        training: its traced training, likewise.
    """
    calls = {}
    loops = loops_long(model)
    if outputs is not None:
        if inference is not None and (loops or is_large(model)):
            calls["call"] = _inference(inference, outputs)
        if training is not None and loops and _loss_is_known(model):
            calls["pass"] = _training(model, training, outputs)
    keep_ready(model, calls)


def _loss_is_known(model: keras.Model) -> bool:
    """Whether training minimises the compiled loss or, uncompiled, the mean square, and nothing else."""
    own = type(model).compute_loss is not keras.Model.compute_loss
    return not own and (not model.compiled or loss_in_force(model) is not None)


def _inference(traced: Traced, outputs: Outputs) -> ReadyCall:
    count = len(keras.tree.flatten(outputs.specs))

    def run(tensors: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        results = iter(traced.function(*tensors))
        masks, found = [], []
        for _, mask in zip(range(count), outputs.masks, strict=True):
            found.append(next(results))
            masks.append(None if mask is None else next(results))
        return found, masks

    return ReadyCall(_placeholders(traced), run, outputs.specs)


def _training(model: keras.Model, traced: Traced, outputs: Outputs) -> ReadyCall:
    """Return the call as `running.differentiating` makes it: outputs, loss, added losses, gradients."""
    variables = variables_of(model)
    place = {id(variable): index for index, variable in enumerate(variables)}
    trained = [place[id(variable)] for variable in model.trainable_variables]
    inputs = _placeholders(traced)
    paths = [name.removeprefix("Input ") for name in traced.inputs if name.startswith("Input ")]

    def run(tensors: Sequence[Any]) -> tuple[list[Any], Any, Any, list[Any], list[Any]]:
        found: dict[Any, list[Any]] = defaultdict(list)
        for (label, index), tensor in zip(traced.results, traced.function(*tensors), strict=True):
            found[label if index is None else (label, index)].append(tensor)
        loss = found["loss"][0]
        added = [tf.cast(tf.reduce_sum(one), loss.dtype) for one in found[ADDED]]
        weights = [_dense(found, "gradient", index, variables[index].value) for index in trained]
        given = [
            _dense(found, f"gradient of input {path}", None, tensor)
            for path, tensor in zip(paths, tensors, strict=False)
            if tensor.dtype.is_floating
        ]
        returned = [found[f"training output {path}"][0] for path in places(outputs.specs)]
        return returned, loss, tf.add_n(added) if added else tf.zeros((), loss.dtype), weights, given

    compiled = model.compiled and loss_in_force(model) is not None
    return ReadyCall(inputs, run, outputs.specs, compiled)


def _dense(found: Any, label: str, index: int | None, source: Any) -> Any:
    """Return a gradient as a dense tensor; zeros where the loss does not depend on the source."""

    def part(suffix: str) -> Any:
        return next(iter(found[label + suffix if index is None else (label + suffix, index)]), None)

    values, rows = part(""), part(" rows")
    if values is None:
        return tf.zeros_like(source)
    return values if rows is None else tf.convert_to_tensor(tf.IndexedSlices(values, rows, part(" shape")))


def _placeholders(traced: Traced) -> tuple[Any, ...]:
    return tuple(traced.graph.inputs[: len(traced.graph.inputs) - len(traced.graph.captures)])
