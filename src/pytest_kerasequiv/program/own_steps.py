"""Tracing steps of a model's own: ``train_step``, ``test_step`` and ``predict_step`` as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.building.batches import given_batch
from pytest_kerasequiv.building.compiling import compile_settings
from pytest_kerasequiv.building.workbench import compiled_for_now
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.compile_state import loss_in_force
from pytest_kerasequiv.program.assembling import Traced
from pytest_kerasequiv.program.nodes import Unprovable
from pytest_kerasequiv.program.objectives import objective, target_structures
from pytest_kerasequiv.program.traced_calls import Outputs
from pytest_kerasequiv.program.tracing_functions import Body, Results, flat, named_states, traced
from pytest_kerasequiv.surface.entries import Batch, Entry

STAND_IN = {"optimizer": "sgd", "loss": "mse", "jit_compile": False}
"""What a model that is not compiled is compiled with, for steps that ask for an optimizer or a loss."""


PREDICT = "predict_step"


def trace_own_step(
    model: keras.Model,
    entry: Entry,
    signature: Any,
    outputs: Outputs,
    afterwards: Callable[[Callable[[], Any]], None] = lambda _: None,
) -> Traced:
    """Trace a step that a class overrides, or whose parts it overrides, as ``fit`` and the like run it.

    Optimizer, loss and metrics are copies. A step that takes targets is run without and with sample weights,
    if it takes these.

    Args:
        model: the model; its attributes come back.
        entry: the step.
        signature: specs of the inputs.
        outputs: what the model returns.
        afterwards: called with what traces the step once more, before the attributes come back.
    """
    if entry.method == "reset_metrics":
        return traced(lambda results, _: _reset(model, results), {}, lambda: _states(model))
    run = partial(_first_that_traces, model, entry, signature, outputs)
    with nullcontext() if entry.method == PREDICT else _compiled(model):
        found = run()
        afterwards(run)
        return found


def _reset(model: keras.Model, results: Results) -> None:
    """Give every metric a state, and have the model reset it."""
    states = [variable for metric in model.metrics for variable in metric.variables]
    for variable in states:
        variable.assign(keras.ops.ones_like(variable))
    model.reset_metrics()
    for place, variable in enumerate(states):
        results.add(f"state {place} of the metrics after reset_metrics", variable.value)


@contextmanager
def _compiled(model: keras.Model) -> Iterator[None]:
    """Compile a model with copies of what it is compiled with, and make their variables."""
    try:
        with compiled_for_now(model, compile_settings(model) or STAND_IN):
            if model.optimizer is not None:
                model.optimizer.build(model.trainable_variables)
            yield
    except InputError as refusal:
        raise Unprovable(str(refusal)) from refusal


def _first_that_traces(model: keras.Model, entry: Entry, signature: Any, outputs: Outputs) -> Traced:
    """Trace a step on the first batch that it takes: with targets, or inputs alone."""
    error: Exception | None = None
    for batch in _batches(model, entry, signature, outputs):
        try:
            return traced(_body(model, entry.method, outputs), batch, lambda: _states(model))
        except Unprovable:
            raise
        except Exception as problem:  # a step that takes other batches says so in its own way
            error = error or problem
    raise error or AssertionError("some batch is always tried")


def _batches(model: keras.Model, entry: Entry, signature: Any, outputs: Outputs) -> Iterator[dict[str, Any]]:
    own = None if entry.method == PREDICT else given_batch(model)
    if own is not None:
        yield {"Batch": keras.tree.map_structure(_spec_of_rows, own)}
        return
    alone, usual = {"Input": signature}, entry.batch is Batch.USUAL
    has_loss = loss_in_force(model) is not None
    if entry.batch is Batch.ALONE or (usual and (entry.method == PREDICT or not has_loss)):
        yield alone
    if entry.batch is Batch.TARGETS or (usual and entry.method != PREDICT):
        for targets in _targets(model, outputs):
            yield {**alone, "Target": targets, "Weight": outputs.weights}
            yield {**alone, "Target": targets}  # a step may unpack x, y and take no weights
    if usual and has_loss and entry.method != PREDICT:
        yield alone


def _targets(model: keras.Model, outputs: Outputs) -> Iterator[list[Any]]:
    """Yield specs of targets: those that the compiled loss takes, else like the outputs, and classes."""
    if loss_in_force(model) is None:
        yield from map(keras.tree.flatten, target_structures(outputs.specs))
        return
    both = zip(objective(model, outputs.specs).targets, keras.tree.flatten(outputs.specs), strict=True)
    yield [spec if target is None else target for target, spec in both]


def _spec_of_rows(array: Any) -> tf.TensorSpec:
    return tf.TensorSpec((None, *array.shape[1:]), array.dtype if array.dtype != object else tf.string)


def _body(model: keras.Model, method: str, outputs: Outputs) -> Body:
    step = getattr(model, method)

    def body(results: Results, given: Mapping[str, Any]) -> None:
        for batch in _as_fit_passes_it(given, outputs):
            if method == PREDICT:
                results.add_outputs("predicted", step(batch))
                continue
            for path, value in flat(step(batch)):
                results.add(f"{method} log {path}", value)
        if method != PREDICT:
            stopped = bool(getattr(model, "stop_training", False))
            results.add(f"stop_training after {method}", stopped)

    return body


def _as_fit_passes_it(given: Mapping[str, Any], outputs: Outputs) -> list[Any]:
    """Return the arguments of the step, call by call: without sample weights, then with them."""
    if "Batch" in given:
        return [given["Batch"]]
    x = given["Input"]
    if "Target" not in given:
        return [(x,) if isinstance(x, list | tuple) else x]
    y = keras.tree.pack_sequence_as(outputs.specs, given["Target"])
    return [(x, y), *([(x, y, given["Weight"])] if "Weight" in given else [])]


def _states(model: keras.Model) -> list[tuple[str, Any]]:
    """Return the variables that a step may change besides the model's: of metrics and optimizers."""
    optimizers = [value for value in vars(model).values() if isinstance(value, keras.optimizers.Optimizer)]
    held = [variable for optimizer in optimizers for variable in optimizer.variables]
    settings = [variable for variable in held if len(variable.shape) == 0]
    slots = [variable for variable in held if len(variable.shape)]
    metrics = [variable for metric in model.metrics for variable in metric.variables]
    # A learning rate is a variable, whose value no program holds.
    values = {f"Optimizer setting {v.numpy()}, {place}": [v] for place, v in enumerate(settings)}
    return named_states({**values, "Optimizer": slots, "Metric": metrics})
