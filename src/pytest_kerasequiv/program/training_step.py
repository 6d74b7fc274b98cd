"""Tracing what Keras's own steps do: the training step up to the optimizer; the loss and metrics alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.building.compiling import fresh_metrics
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.functional import carry_mask
from pytest_kerasequiv.layers.fixed_training import phase
from pytest_kerasequiv.program.assembling import Assembly, Traced
from pytest_kerasequiv.program.kept_calls import ADDED
from pytest_kerasequiv.program.logits import with_logits
from pytest_kerasequiv.program.nodes import Unprovable
from pytest_kerasequiv.program.objectives import Objective, objective, symbolic, total_loss
from pytest_kerasequiv.program.traced_calls import Outputs
from pytest_kerasequiv.program.tracing_functions import Results, flat, named_states, traced


def trace_training(assembly: Assembly, signature: Any, outputs: Outputs) -> Traced:
    """Trace one training step up to the gradients, the constraints and the updates of other state."""
    goal = objective(assembly.model, outputs.specs)

    def body(results: Results, given: Mapping[str, Any]) -> None:
        _step(assembly, results, given["Input"], goal, given["Target"])

    arguments = {"Input": signature, "Target": list(goal.targets)}
    return traced(body, arguments, lambda: named_states({"Loss": goal.states}))


def _step(assembly: Assembly, results: Results, inputs: Any, goal: Objective, targets: Any) -> None:
    """Do what Keras's training step does before the optimizer, and note all that comes of it."""
    floats = [(path, tensor) for path, tensor in flat(inputs) if tensor.dtype.is_floating]
    trainable = [(i, assembly.variables[i]) for i, fact in enumerate(assembly.facts) if fact.trainable]
    with tf.GradientTape() as tape:
        tape.watch([tensor for _, tensor in floats])
        outputs = assembly.model(inputs, **phase(assembly.model, training=True))
        loss = total_loss(assembly.model, goal, targets, outputs)
    results.add_outputs("training output", outputs)
    results.add("loss", loss)
    for added in assembly.model.losses:
        results.add(ADDED, added)
    if loss is not None and loss.dtype.is_floating:
        gradients = tape.gradient(
            loss, [variable.value for _, variable in trainable] + [x for _, x in floats]
        )
        for (index, _), gradient in zip(trainable, gradients, strict=False):
            results.add("gradient", gradient, index)
        for (path, _), gradient in zip(floats, gradients[len(trainable) :], strict=True):
            results.add(f"gradient of input {path}", gradient)
    for index, variable in trainable:
        if variable.constraint is not None:
            results.add("constraint", variable.constraint(variable), index)


def trace_loss_and_metrics(model: keras.Model, outputs: Outputs) -> Traced:
    """Trace the compiled loss and metrics on symbolic outputs, without sample weights and with them.

    With inference and training this is all of ``train_step`` and ``test_step`` but the optimizer. Outputs
    that a softmax or sigmoid makes carry their logits here too, from which losses compute. Metrics are reset
    first, as ``fit`` does, and see two batches. Masks reach both where the outputs carry some.
    """
    goal = objective(model, outputs.specs)
    targets = _targets_for_metrics(goal, outputs)
    metrics = _metrics(model, targets, outputs)

    def body(results: Results, given: Mapping[str, Any]) -> None:
        def outputs_of_model() -> Any:
            return _masked(with_logits(outputs.lasts, given["Output"]), given["Mask"])

        predicted = outputs_of_model()
        if metrics is not None:
            metrics.reset_state()
        for called, weights in (("", None), ("weighted ", given["Weight"])):
            loss_of = partial(_loss, goal, given["Target"], outputs_of_model, weights)
            _note_loss(results, called, loss_of, given["Output"])
            if metrics is not None:
                y = keras.tree.pack_sequence_as(outputs.specs, given["Target"])
                metrics.update_state(y, predicted, weights)
                for place, value in enumerate(metrics.result().values()):
                    results.add(f"{called}metric {place}", value)

    arguments = {
        "Output": outputs.specs,
        "Mask": list(outputs.masks),
        "Target": list(goal.targets) if metrics is None else targets,
        "Weight": outputs.weights,
    }

    def states() -> list[tuple[str, Any]]:
        return named_states({"Loss": goal.states, "Metric": () if metrics is None else metrics.variables})

    return traced(body, arguments, states)


def _loss(goal: Objective, targets: Any, outputs: Callable[[], Any], weights: Any) -> Any:
    return goal.loss(targets, outputs(), weights)


def _note_loss(results: Results, called: str, loss_of: Callable[[], Any], predicted: Any) -> None:
    """Note a loss and its gradients with respect to the outputs."""
    floats = [(path, tensor) for path, tensor in flat(predicted) if tensor.dtype.is_floating]
    with tf.GradientTape() as tape:
        tape.watch([tensor for _, tensor in floats])
        loss = loss_of()
    results.add(f"{called}loss of the outputs", loss)
    if loss is None or not loss.dtype.is_floating or not floats:
        return
    for (path, _), gradient in zip(floats, tape.gradient(loss, [t for _, t in floats]), strict=True):
        results.add(f"{called}gradient of output {path}", gradient)


def _masked(predicted: Any, masks: Any) -> Any:
    """Let outputs carry the masks that the model gives them."""
    for tensor, mask in zip(keras.tree.flatten(predicted), masks, strict=True):
        if mask is not None:
            carry_mask(tensor, mask)
    return predicted


def _targets_for_metrics(goal: Objective, outputs: Outputs) -> list[Any]:
    """Return the targets of the loss; for an output without one, one like it, which metrics may take."""
    both = zip(goal.targets, keras.tree.flatten(outputs.specs), strict=True)
    return [spec if target is None else target for target, spec in both]


def _metrics(model: keras.Model, targets: Sequence[Any], outputs: Outputs) -> Any:
    """Return the compiled metrics made anew and built; ``None`` where there are none."""
    try:
        metrics = fresh_metrics(model)
    except InputError as refusal:
        raise Unprovable(str(refusal)) from refusal
    if metrics is None:
        return None
    y = keras.tree.pack_sequence_as(outputs.specs, list(targets))
    metrics.build(*(keras.tree.map_structure(symbolic, specs) for specs in (y, outputs.specs)))
    return metrics
