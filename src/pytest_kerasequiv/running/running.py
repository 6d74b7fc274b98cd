"""Running one model on given values and inputs, and leaving it as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import Any, cast

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.building.left_behind import as_left
from pytest_kerasequiv.keras_access.constants import constants_changed
from pytest_kerasequiv.keras_access.functional import mask_beside
from pytest_kerasequiv.keras_access.layers import layers_within
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.keras_access.unoptimised import graphs_as_written
from pytest_kerasequiv.layers.fixed_training import phase
from pytest_kerasequiv.running.float64 import float64_mode
from pytest_kerasequiv.running.input_layout import input_layout
from pytest_kerasequiv.running.perturbing import perturbed_constant, perturbed_values
from pytest_kerasequiv.running.ready import ReadyCall, ready
from pytest_kerasequiv.weights.variables import assign, assigned, is_seed, peek, variables_of, write

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Outcome:
    """What one call returned: flattened outputs, and the Keras mask of each (``None`` where it has none)."""

    outputs: tuple[Array, ...]
    masks: tuple[Array | None, ...]


class Runner:
    """Calls one model under given values, again and again.

    Models with an RNN run in a traced function, since an eager loop over time is slow, and so does the
    inference of large models; all else runs eagerly. No graph optimiser rewrites one twin and not the other:
    for so few runs it would also cost more than it saves.

    Attributes:
        traced: functions traced so far, by name, the last sample of outputs, and shapes of outputs.
        uses_loss: whether the model is compiled with the loss to differentiate.
        reuses: whether what was traced with the program of the model may be run.
        traceable: whether the inference of the model is known to be one that can be traced.
        change: what is done to the float constants of the model's code; ``None`` for nothing.

    Args:
        model: a built model; while the runner is entered it holds ``values``, afterwards its own again.
        values: for each of `variables_of`.
        wide: whether the model is a float64 oracle.
        drawn_in: dtype in which an oracle draws random numbers.
    """

    def __init__(
        self,
        model: keras.Model,
        values: Sequence[Array],
        *,
        wide: bool = False,
        drawn_in: str = "float32",
    ) -> None:
        self.model = model
        self.values = values
        self.layout = input_layout(model)
        self.wide = wide
        self.drawn_in = drawn_in
        self.traced: dict[str, Any] = {}
        self.uses_loss = False
        self.reuses = True
        self.traceable = ready(model, "call", compiled=False) is not None
        self.change: Callable[[NDArray[Any]], NDArray[Any]] | None = None
        self._graph: bool | None = None
        self._seeds: frozenset[int] | None = None

    @contextmanager
    def holding(self) -> Iterator[Runner]:
        """Give the model its values for a while; an oracle, which nobody else sees, keeps them."""
        with as_left(self.model), self._world(), carried_states_kept(self.model), graphs_as_written():
            if self.wide:
                assign(self.model, self.values)
                yield self
                return
            with assigned(self.model, self.values):
                yield self

    def _world(self) -> AbstractContextManager[None]:
        return float64_mode(self.drawn_in) if self.wide else preserved_state()

    def reset(self, layer: Any = None) -> None:
        """Write back the state that calls may change: seed states, statistics, states between batches.

        Args:
            layer: what is to be called, if no more than that; what it may change is known of Keras's own.
        """
        held = None if layer is None else _state_of(layer)
        if held == set():
            return
        clear_carried_states(self.model)
        for variable, value in zip(variables_of(self.model), self.values, strict=True):
            if not variable.trainable and (held is None or id(variable) in held):
                write(variable, value)

    def pack(self, inputs: Sequence[Array]) -> Any:
        """Return flattened inputs as tensors in the structure that this model takes."""
        tensors = [self._tensor(leaf, position) for position, leaf in enumerate(inputs)]
        if self.layout.known:
            return self.layout.pack(tensors)
        return tensors[0] if len(tensors) == 1 else list(map(tf.identity, tensors))

    def _tensor(self, leaf: Array, position: int) -> Any:
        dtype = self.layout.specs[position].dtype if self.layout.known else None
        if self.wide and leaf.dtype.kind == "f" and (dtype is None or "float" in dtype):
            return tf.cast(tf.constant(leaf), "float64")
        if leaf.dtype.kind in "OSU" or dtype in {None, "string"}:
            return tf.constant(leaf)
        return tf.cast(tf.constant(leaf), dtype)

    def under(self, values: Sequence[Array]) -> Runner:
        """Return a runner of the same model under other values."""
        other = copy(self)
        other.values = values
        return other

    def untraced(self) -> Runner:
        """Return a runner of the same model that traces it again: hidden draws are seeded in tracing."""
        other = copy(self)
        other.traced = {}
        other.reuses = False
        return other

    def perturbed(self, values: Sequence[Array], dtype: str, seed: int) -> Runner:
        """Return a runner under values and constants that are changed by up to one roundoff of ``dtype``."""
        other = self.under(perturbed_values(self.model, values, dtype, seed))
        other.change = partial(perturbed_constant, dtype, np.random.default_rng([seed, 5]))
        return other

    def graph_def(self) -> Any:
        """Return the traced inference as a ``GraphDef``; the layout of the inputs must be known."""
        specs = [
            tf.TensorSpec(s.shape, "float64" if self.wide and "float" in s.dtype else s.dtype)
            for s in self.layout.specs
        ]
        with as_left(self.model), self._world(), assigned(self.model, self.values):
            function = self.function("call", self._call)
            return function.get_concrete_function(self.layout.pack(specs)).graph.as_graph_def()

    def function(self, name: str, body: Callable[..., Any]) -> Any:
        """Return the traced function of a name; one with changed constants is traced apart."""
        key = f"{name}, constants changed" if self.change else name
        if key not in self.traced:
            self.traced[key] = tf.function(body, autograph=False)
        return self.traced[key]

    def concrete(self, name: str, body: Callable[..., Any], *arguments: Any) -> Callable[..., Any]:
        """Return the traced function for tensors of these shapes and any batch size.

        What has been traced with the program of the model is not traced again.

        Args:
            name: what the function is kept by.
            body: what is traced.
            *arguments: structures of tensors.
        """
        known = self._ready(name, arguments)
        if known is not None:
            self.traced["sample"] = known.sample
            return lambda *given: known.run(_present(given))
        fixed = any(spec.shape[0] for spec in self.layout.specs)
        specs = keras.tree.map_structure(
            lambda leaf: tf.TensorSpec(leaf.shape if fixed else (None, *leaf.shape[1:]), leaf.dtype),
            arguments,
        )
        if self.change is None:
            return cast("Callable[..., Any]", self.function(name, body).get_concrete_function(*specs))
        try:
            with constants_changed(self.change):
                return cast("Callable[..., Any]", self.function(name, body).get_concrete_function(*specs))
        except Exception:  # code that cannot be traced, or not with other constants, keeps its own
            return body

    def _ready(self, name: str, arguments: Any) -> ReadyCall | None:
        if self.wide or self.change is not None or not self.reuses:
            return None
        known = ready(self.model, name, self.uses_loss)
        return known if known is not None and known.takes(_present(arguments)) else None

    def _call(self, packed: Any) -> tuple[list[Any], list[Any]]:
        outputs = self.traced["sample"] = self.model(packed, **phase(self.model, training=False))
        return _with_masks(outputs)

    def reset_all(self) -> None:
        """Write back all given values."""
        clear_carried_states(self.model)
        assign(self.model, self.values)

    def targets(self, arrays: Sequence[Array]) -> list[Any]:
        """Return targets as tensors of the dtype that losses compute in."""
        wide = "float64" if self.wide else "float32"
        return [tf.constant(t, wide) if t.dtype.kind == "f" else tf.constant(t) for t in arrays]

    def structured(self, leaves: Sequence[Any]) -> Any:
        """Put flattened outputs into the structure that the model returns; it must have been called."""
        return keras.tree.pack_sequence_as(self.sample, list(leaves))

    def target_structure(self, arrays: Sequence[Array]) -> Any:
        """Return targets as tensors in the structure that the model returns; it must have been called."""
        return self.structured(self.targets(arrays))

    def changed_state(self) -> list[int]:
        """Return the indices of the non-trainable variables that no longer hold their given value."""
        held = enumerate(zip(variables_of(self.model), self.values, strict=True))
        return [
            index
            for index, (variable, value) in held
            if not variable.trainable and not np.array_equal(peek(variable), value, equal_nan=True)
        ]

    def is_seed(self, index: int) -> bool:
        """Whether a variable, by index, is the state of a seed generator."""
        if self._seeds is None:
            self._seeds = frozenset(i for i, v in enumerate(variables_of(self.model)) if is_seed(v))
        return index in self._seeds

    def carries_state(self) -> bool:
        """Whether calls so far left a state behind that the next call may use, other than seed states."""
        carried = any(np.any(np.asarray(state)) for state in carried_states(self.model))
        return carried or any(not self.is_seed(index) for index in self.changed_state())

    def infer(self, inputs: Sequence[Array]) -> Outcome:
        """Call the model in inference mode.

        Args:
            inputs: flattened: a list goes by position, a dict by its sorted keys.
        """
        packed = self.pack(inputs)
        traced = self.in_graph() or (self.traceable and self.reuses and is_large(self.model))
        call = self.concrete("call", self._call, packed) if traced else self._call
        outcome = as_arrays(call(packed))
        self.note_answer(inputs, outcome.outputs)
        self._inferred()[_shapes(inputs)] = [output.shape for output in outcome.outputs]
        return outcome

    def output_shapes(self, inputs: Sequence[Array]) -> list[tuple[int, ...]]:
        """Return the shapes of the flattened outputs in inference, by one run for inputs of one shape."""
        shapes = _shapes(inputs)
        if shapes not in self._inferred():
            with self.holding():
                self.infer(inputs)
        return self._inferred()[shapes]

    def _inferred(self) -> dict[Any, list[tuple[int, ...]]]:
        found: dict[Any, list[tuple[int, ...]]] = self.traced.setdefault("inferred", {})
        return found

    def own_pass(self) -> Callable[[Any, list[Any]], Any] | None:
        """Return what makes a pass of inputs and targets where TensorFlow's tape does not; else ``None``."""
        return None

    def note_answer(self, inputs: Sequence[Array], outputs: Sequence[Any]) -> None:
        """Keep the shapes and dtypes of flattened outputs, for `like_answer`."""
        self.traced["answer"] = _shapes(inputs), [(tuple(one.shape), one.dtype) for one in outputs]

    def like_answer(self, inputs: Sequence[Array]) -> Any:
        """Return zeros in the structure and shapes of what the model returns for such inputs."""
        if self.traced.get("answer", (None,))[0] != _shapes(inputs):
            self.infer(inputs)
        return self.structured([tf.zeros(shape, dtype) for shape, dtype in self.traced["answer"][1]])

    @property
    def sample(self) -> Any:
        """The structure that the last call returned, for naming outputs; its tensors may be symbolic."""
        return self.traced.get("sample")

    def in_graph(self) -> bool:
        """Whether the model runs in a traced function; constants are changed nowhere else."""
        if self._graph is None:
            self._graph = loops_long(self.model) and not getattr(self.model, "run_eagerly", False)
        return self._graph or self.change is not None


def _state_of(layer: Any) -> set[int] | None:
    """Return the identities of what a layer may change; ``None`` where code of the user's may change more."""
    if not isinstance(layer, keras.layers.Layer):
        return set() if is_keras(type(layer)) else None
    layers = layers_within(layer, itself=True)
    if any(
        isinstance(one, keras.layers.Lambda | keras.layers.RNN) or not is_keras(type(one)) for one in layers
    ):
        return None
    return {id(variable) for variable in layer.variables if not variable.trainable}


def _shapes(arrays: Sequence[Array]) -> tuple[tuple[int, ...], ...]:
    return tuple(array.shape for array in arrays)


def _present(structure: Any) -> list[Any]:
    return [leaf for leaf in keras.tree.flatten(structure) if leaf is not None]


def _with_masks(outputs: Any) -> tuple[list[Any], list[Any]]:
    tensors = keras.tree.flatten(outputs)
    return tensors, [mask_beside(tensor) for tensor in tensors]


def as_arrays(outputs: tuple[list[Any], list[Any]]) -> Outcome:
    """Return flattened outputs and their masks as arrays."""
    tensors, masks = outputs
    return Outcome(
        tuple(np.asarray(keras.ops.convert_to_numpy(tensor)) for tensor in tensors),
        tuple(None if mask is None else np.asarray(mask) for mask in masks),
    )


def output_names(model: keras.Model, outputs: Any) -> tuple[str, ...]:
    """Return a name for each flattened output: dict keys, the functional model's names, else positions."""
    if isinstance(outputs, dict) and len(outputs) == len(keras.tree.flatten(outputs)):
        return tuple(str(key) for key in sorted(outputs))
    count = len(keras.tree.flatten(outputs))
    names = tuple(str(name) for name in getattr(model, "output_names", None) or ())
    return names if len(names) == count else tuple(f"output {position}" for position in range(count))


def called(name: str) -> str:
    """Return how messages name an output: by its name, or by its position where it has none."""
    return name if name.startswith("output ") else f"output {name!r}"


LARGE = 8_000_000
"""Parameters of a model from which on running it costs more than what is done about it."""


def is_large(model: keras.Model) -> bool:
    """Whether running a model takes long: it has many parameters."""
    return bool(sum(prod(variable.shape) for variable in model.variables) > LARGE)


LONG_LOOP = 30
"""Time steps, over all RNNs of a model, from which on tracing is cheaper than looping eagerly a few times."""


def loops_long(model: keras.Model) -> bool:
    """Whether the RNNs of a model loop over many steps in all, or over an unknown number."""
    rnns = [layer for layer in layers_within(model, itself=True) if isinstance(layer, keras.layers.RNN)]
    shapes = [(layer.get_build_config() or {}).get("input_shape") for layer in rnns]
    steps = [shape[1] if shape is not None and len(shape) > 1 else None for shape in shapes]
    return any(count is None for count in steps) or sum(count or 0 for count in steps) >= LONG_LOOP


def carried_states(model: keras.Model) -> list[Any]:
    """Return the state variables of a model's stateful RNNs that are not among `variables_of`."""
    known = {id(variable) for variable in variables_of(model)}
    found: dict[int, Any] = {}
    for layer in layers_within(model, itself=True):
        if isinstance(layer, keras.layers.RNN) and layer.stateful and layer.states is not None:
            found |= {id(state): state for state in keras.tree.flatten(layer.states)}
    return [state for key, state in found.items() if key not in known]


@contextmanager
def carried_states_kept(model: keras.Model) -> Iterator[None]:
    """Run a block and put the carried states back."""
    states = carried_states(model)
    before = [np.asarray(state).copy() for state in states]
    try:
        yield
    finally:
        for state, value in zip(states, before, strict=True):
            state.assign(value)


def clear_carried_states(model: keras.Model) -> None:
    """Set the carried states to zero, as ``reset_state`` does."""
    for state in carried_states(model):
        state.assign(np.zeros(state.shape))
