"""Running a model where Keras does not run on TensorFlow: calls, and passes forward and backward."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.left_behind import as_left
from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.layers.fixed_training import phase
from pytest_kerasequiv.running.differentiating import is_float, loss_of
from pytest_kerasequiv.running.running import Outcome, Runner, as_arrays, carried_states, carried_states_kept
from pytest_kerasequiv.weights.variables import assigned

Array = NDArray[np.generic]


class OtherRunner(Runner):
    """Calls one model of another backend under given values; TensorFlow traces nothing.

    Args:
        model: a built model of the backend that Keras runs on.
        values: for each of `variables_of`.
    """

    @contextmanager
    def holding(self) -> Iterator[Runner]:
        """Give the model its values for a while."""
        with (
            preserved_state(),
            as_left(self.model),
            carried_states_kept(self.model),
            assigned(self.model, self.values),
        ):
            yield self

    def in_graph(self) -> bool:
        """Nothing runs in a traced function."""
        return False

    def _tensor(self, leaf: Array, position: int) -> Any:
        dtype = self.layout.specs[position].dtype if self.layout.known else None
        return keras.ops.convert_to_tensor(np.asarray(leaf), dtype)

    def targets(self, arrays: Sequence[Array]) -> list[Any]:
        """Return targets as tensors of the dtype that losses compute in."""
        return [keras.ops.convert_to_tensor(t, "float32" if t.dtype.kind == "f" else None) for t in arrays]

    def infer(self, inputs: Sequence[Array]) -> Outcome:
        """Call the model in inference mode."""
        packed = self.pack(inputs)
        outcome = as_arrays(INFERENCE[keras.config.backend()](self, packed))
        self.note_answer(inputs, outcome.outputs)
        self._inferred()[tuple(one.shape for one in inputs)] = [one.shape for one in outcome.outputs]
        return outcome

    def own_pass(self) -> Callable[[Any, list[Any]], Any]:
        """Return what makes a pass of inputs and targets as the backend differentiates."""
        return partial(PASSES[keras.config.backend()], self)

    def called(self, packed: Any) -> tuple[list[Any], list[Any]]:
        """Return the flattened outputs of inference, and their masks."""
        return self._call(packed)

    def passed(self, packed: Any, targets: list[Any]) -> tuple[Any, Any, Any]:
        """Return the flattened outputs in training mode, the loss, and what is added in it."""
        model = self.model
        outputs = self.traced["sample"] = model(packed, **phase(model, training=True))
        loss, extra = loss_of(model, packed, outputs, targets, compiled=self.uses_loss)
        return keras.tree.flatten(outputs), loss, extra


def _torch_call(runner: OtherRunner, packed: Any) -> Any:
    torch: Any = importlib.import_module("torch")
    with torch.no_grad():
        return runner.called(packed)


def _jax_call(runner: OtherRunner, packed: Any) -> Any:
    def call(weights: list[Any], states: list[Any], given: list[Any]) -> Any:
        with _holding_tracers(runner.model, weights, states) as scope:
            found = runner.called(keras.tree.pack_sequence_as(packed, given))
        return found, _states(runner.model, scope)

    weights, states = _values(runner.model)
    found, left = _compiled(runner, f"call {_signature(packed)}", call)(
        weights, states, keras.tree.flatten(packed)
    )
    _leave(runner.model, left)
    return found


def _jax_pass(runner: OtherRunner, packed: Any, targets: list[Any]) -> Any:
    """Differentiate as JAX does it: values go in, and the states that the pass leaves come out."""
    flat = keras.tree.flatten(packed)
    places = [place for place, leaf in enumerate(flat) if is_float(leaf)]

    def loss(
        weights: list[Any], leaves: list[Any], states: list[Any], given: list[Any], wanted: list[Any]
    ) -> Any:
        whole = list(given)
        for place, leaf in zip(places, leaves, strict=True):
            whole[place] = leaf
        with _holding_tracers(runner.model, weights, states) as scope:
            outputs, found, extra = runner.passed(keras.tree.pack_sequence_as(packed, whole), wanted)
        return found, (outputs, extra, _states(runner.model, scope))

    differentiated = importlib.import_module("jax").value_and_grad(loss, (0, 1), has_aux=True)
    weights, states = _values(runner.model)
    name = f"pass {runner.uses_loss} {_signature(packed)}"
    (found, (outputs, extra, left)), (gradients, moved) = _compiled(runner, name, differentiated)(
        weights, [flat[place] for place in places], states, flat, targets
    )
    _leave(runner.model, left)
    return _arrays(outputs, found, extra, gradients, moved)


def _compiled(runner: Runner, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function as XLA compiles it, once; code that cannot be traced runs as it is."""

    def run(*given: Any) -> Any:
        key = f"{name} under {id(runner.values)}"  # a Normalization computes with copies of its variables
        if key not in runner.traced:
            runner.traced[key] = importlib.import_module("jax").jit(function), runner.values
        try:
            return runner.traced[key][0](*given)
        except Exception:  # what it raises untraced is what its users see
            return function(*given)

    return run


def _signature(packed: Any) -> str:
    return repr([(leaf.shape, str(leaf.dtype)) for leaf in keras.tree.flatten(packed)])


def _values(model: keras.Model) -> tuple[list[Any], list[Any]]:
    weights, states = ([v.value for v in some] for some in (model.trainable_variables, _stateful(model)))
    return weights, states


def _stateful(model: keras.Model) -> list[Any]:
    """Return what a call may change, the states that RNNs carry from call to call among it."""
    return [*model.non_trainable_variables, *carried_states(model)]


def _holding_tracers(model: keras.Model, weights: list[Any], states: list[Any]) -> Any:
    """Give a model's variables other values within a block; what it assigns is kept beside them."""
    trained = zip(model.trainable_variables, weights, strict=True)
    others = zip(_stateful(model), states, strict=True)
    return keras.StatelessScope(state_mapping=[*trained, *others], collect_losses=True)


def _states(model: keras.Model, scope: Any) -> list[Any]:
    return [scope.get_current_value(one) for one in _stateful(model)]


def _leave(model: keras.Model, states: list[Any]) -> None:
    for variable, state in zip(_stateful(model), states, strict=True):
        if state is not None:
            variable.assign(state)


def _torch_pass(runner: OtherRunner, packed: Any, targets: list[Any]) -> Any:
    """Differentiate as torch does it: the call is noted on the tensors themselves."""
    torch: Any = importlib.import_module("torch")
    leaves = [leaf.requires_grad_() for leaf in keras.tree.flatten(packed) if is_float(leaf)]
    weights = [one.value for one in runner.model.trainable_variables]
    outputs, loss, extra = runner.passed(packed, targets)
    sources = [*weights, *leaves]
    found = [None] * len(sources)
    if loss.requires_grad:
        found = torch.autograd.grad(loss, sources, allow_unused=True)
    dense = [torch.zeros_like(s) if g is None else g for g, s in zip(found, sources, strict=True)]
    return _arrays(outputs, loss, extra, dense[: len(weights)], dense[len(weights) :])


def _arrays(*found: Any) -> Any:
    """Return the tensors within lists as arrays."""
    return keras.tree.map_structure(lambda tensor: np.asarray(keras.ops.convert_to_numpy(tensor)), found)


INFERENCE: Mapping[str, Callable[[OtherRunner, Any], Any]] = {"jax": _jax_call, "torch": _torch_call}
"""Backend of Keras -> calls a model in inference mode: flattened outputs and their masks."""

PASSES: Mapping[str, Callable[[OtherRunner, Any, list[Any]], Any]] = {"jax": _jax_pass, "torch": _torch_pass}
"""Backend of Keras -> makes one pass: outputs, loss, what is added in it, gradients of weights and inputs."""
