"""Tracing a model: its inference, and one step's loss, gradients and updates of state."""

from __future__ import annotations

import gc
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.program.assembling import Assembly, Traced
from pytest_kerasequiv.program.facts import collected_losses, input_signature, refuse_fixed_training
from pytest_kerasequiv.program.nodes import Program, Unprovable
from pytest_kerasequiv.program.training_loss import (
    Objective,
    objective,
    own_evaluation,
    own_training,
    total_loss,
)


def trace(model: keras.Model) -> Program:
    """Trace what a built model computes.

    The model is left as it was: nothing is executed, its weights, seed states, metrics, optimizer and
    collected losses are untouched, and so is the random state of the caller. Python code in a layer's
    ``call`` runs twice.

    Never raises for a model that cannot be traced: ``Program.reason`` then says why, and no proof rests on
    it.
    """
    assembly = Assembly(model)
    reason, op = None, ""
    with preserved_state(), collected_losses(model), warnings.catch_warnings(), _garbage_kept():
        warnings.simplefilter("ignore")  # what Keras warns of, it told when the model was built and called
        _scatter_python_randomness()
        try:
            _require_tensorflow()
            refuse_fixed_training(model)
            signature = input_signature(model)
            outputs = _trace_inference(assembly, signature)
            _trace_training(assembly, signature, outputs)
        except Unprovable as obstacle:
            reason, op = str(obstacle), obstacle.op
        except Exception as error:  # whatever a layer raises while being traced is the reason
            reason = f"it could not be traced: {type(error).__name__}: {error}"
    return assembly.program(reason, op)


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """Do not search for garbage meanwhile: a trace makes hundreds of thousands of objects that stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _require_tensorflow() -> None:
    if keras.config.backend() != "tensorflow":
        raise Unprovable(f"Keras runs on {keras.config.backend()}; only TensorFlow's programs are traced")


def _scatter_python_randomness() -> None:
    """Let each trace draw other numbers from Python and NumPy.

    What a layer draws from them while it is traced becomes a constant; such a layer computes something else
    each time it is traced, so that two traces of it must not come out equal.
    """
    random.seed()
    np.random.seed()  # noqa: NPY002 - the legacy global state is what layers draw from


@dataclass
class _Results:
    """What a function returns while it is traced, and what each of it is."""

    labels: list[tuple[str, int | None]] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)

    def add(self, label: str, value: Any, variable: int | None = None) -> None:
        """Note a result; ``variable`` is the index of the variable it belongs to."""
        for suffix, part in [] if value is None else _components(value):
            self.labels.append((label + suffix, variable))
            self.tensors.append(tf.convert_to_tensor(part))


def _trace_inference(assembly: Assembly, signature: Any) -> Any:
    """Trace the model in inference; returns its outputs as a structure of ``tf.TensorSpec``."""
    specs: list[Any] = []

    def body(results: _Results, inputs: Any, _: Sequence[Any]) -> None:
        outputs = _call(assembly.model, inputs, training=False)
        specs.append(
            keras.tree.map_structure(lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), outputs)
        )
        for path, tensor in _flat(outputs):
            results.add(f"inference output {path}", tensor)
            results.add(f"mask of inference output {path}", getattr(tensor, "_keras_mask", None))

    assembly.take("inference", _trace(body, signature, ()))
    return specs[-1]


def _trace_training(assembly: Assembly, signature: Any, outputs: Any) -> None:
    """Trace one training step up to the gradients, the constraints and the updates of other state."""
    own = own_training(assembly.model) or own_evaluation(assembly.model)
    if own is not None:
        raise Unprovable(own)
    goal = objective(assembly.model, outputs)

    def body(results: _Results, inputs: Any, targets: Sequence[Any]) -> None:
        _step(assembly, results, inputs, goal, targets)

    assembly.take("training", _trace(body, signature, goal.targets, goal.bystanders))


def _trace(
    body: Callable[[_Results, Any, Sequence[Any]], None],
    signature: Any,
    targets: Sequence[Any],
    bystanders: Sequence[Any] = (),
) -> Traced:
    """Trace ``body(results, inputs, targets)``; its arguments are flat, so that their order is certain."""
    results = _Results()
    count = len(keras.tree.flatten(signature))
    places = [position for position, target in enumerate(targets) if target is not None]

    def run(*arguments: Any) -> list[Any]:
        results.labels.clear()
        results.tensors.clear()
        given: list[Any] = [None] * len(targets)
        for position, tensor in zip(places, arguments[count:], strict=True):
            given[position] = tensor
        body(results, keras.tree.pack_sequence_as(signature, list(arguments[:count])), given)
        return results.tensors

    specs = [*keras.tree.flatten(signature), *(targets[position] for position in places)]
    concrete = tf.function(run, autograph=False).get_concrete_function(*specs)
    names = [*(f"Input {path}" for path, _ in _flat(signature)), *(f"Target {place}" for place in places)]
    return Traced(concrete.graph, names, list(results.labels), bystanders)


def _step(
    assembly: Assembly,
    results: _Results,
    inputs: Any,
    goal: Objective,
    targets: Sequence[Any],
) -> None:
    """Do what Keras's training step does before the optimizer, and note all that comes of it."""
    floats = [(path, tensor) for path, tensor in _flat(inputs) if tensor.dtype.is_floating]
    trainable = [(i, assembly.variables[i]) for i, fact in enumerate(assembly.facts) if fact.trainable]
    with tf.GradientTape() as tape:
        tape.watch([tensor for _, tensor in floats])
        outputs = _call(assembly.model, inputs, training=True)
        loss = total_loss(assembly.model, goal, targets, outputs)
    for path, tensor in _flat(outputs):
        results.add(f"training output {path}", tensor)
    results.add("loss", loss)
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


def _call(model: keras.Model, inputs: Any, *, training: bool) -> Any:
    """Call a model as Keras's own steps do."""
    if model._call_has_training_arg:
        return model(inputs, training=training)
    return model(inputs)


def _flat(structure: Any) -> list[tuple[str, Any]]:
    """Flatten a structure to (path, leaf): positions in lists, keys in dicts; one tensor is ``0``."""
    paired = keras.tree.flatten_with_path(structure)
    return [("/".join(map(str, path)) or "0", leaf) for path, leaf in paired if leaf is not None]


def _components(value: Any) -> list[tuple[str, Any]]:
    """Take a tensor apart where it consists of several (gradients of embeddings)."""
    if isinstance(value, tf.IndexedSlices):
        parts = [("", value.values), (" rows", value.indices), (" shape", value.dense_shape)]
        return [(suffix, part) for suffix, part in parts if part is not None]
    if isinstance(value, tf.SparseTensor):
        return [("", value.values), (" positions", value.indices), (" shape", value.dense_shape)]
    return [("", value)]
