"""Recording the layer calls of one forward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.keras_access.functional import function_within, mask_beside
from pytest_kerasequiv.keras_access.layers import inherited_training, place_of_training, takes_training
from pytest_kerasequiv.layers.fixed_training import phase


@dataclass(frozen=True)
class LayerCall:
    """One call of one layer, as plain data.

    Attributes:
        path: Keras path of the layer, through the layers that called it (``"model/block1/conv"``).
        call: how often the layer at this path had been called before.
        kind: class name of the layer.
        parent: index of the recorded call in which it was made; -1 for the layers the model calls itself.
        args: positional arguments, tensors as arrays; keyword arguments in ``kwargs``.
        masks: the Keras mask of each tensor in ``(args, kwargs)``, flattened; ``None`` where it has none.
        outputs: the flattened outputs; ``None`` in place of one that could not be read.
        output_masks: the Keras masks of the outputs, likewise.
        sources: for each tensor in ``(args, kwargs)``, the recorded call that made it and the position among
            that call's outputs; call ``-2 - j`` is the model's input ``j``, -1 a tensor made otherwise.
    """

    path: str
    call: int
    kind: str
    parent: int
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    masks: tuple[NDArray[np.generic] | None, ...]
    outputs: tuple[NDArray[np.generic] | None, ...]
    output_masks: tuple[NDArray[np.generic] | None, ...]
    sources: tuple[tuple[int, int], ...] = ()

    @property
    def key(self) -> tuple[str, int]:
        """What tells this call from the others of its model."""
        return self.path, self.call


@dataclass
class _Recorder:
    stack: list[str] = field(default_factory=list)
    calls: list[LayerCall] = field(default_factory=list)
    layers: list[keras.Layer] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    parents: list[int] = field(default_factory=list)
    makers: dict[int, tuple[int, int]] = field(default_factory=dict)
    alive: list[Any] = field(default_factory=list)
    muted: int = 0

    def around(self, layer: Any, forward: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self.muted:
            return forward(layer, *args, **kwargs)
        self.stack.append(layer.name)
        path = "/".join(self.stack)
        slot = self._open(path, layer) if len(self.stack) > 1 else -1
        loops = _calls_its_parts_in_a_loop(layer)
        self.muted += loops
        entered = (
            _to_arrays(args),
            _to_arrays({**kwargs, **_inherited(layer, args, kwargs)}),
            masks((args, kwargs)),
            self._sources((args, kwargs)),
        )
        self.parents.append(slot)
        try:
            outputs = forward(layer, *args, **kwargs)
        finally:
            self.muted -= loops
            self.stack.pop()
            self.parents.pop()
        if slot >= 0:
            self._adopt(slot, layer, tensors((args, kwargs)), tensors(outputs))
            self._close(slot, path, entered, outputs)
        return outputs

    def kept(self) -> list[tuple[LayerCall, Any]]:
        return list(zip(self.calls, self.layers, strict=True))

    def _open(self, path: str, layer: Any) -> int:
        self.calls.append(_PENDING)
        self.layers.append(layer)
        self.seen[path] += 1
        return len(self.calls) - 1

    def _sources(self, structure: Any) -> tuple[tuple[int, int], ...]:
        return tuple(self.makers.get(id(leaf), (-1, 0)) for leaf in tensors(structure))

    def _adopt(self, slot: int, layer: Any, given: list[Any], made: list[Any]) -> None:
        """Note which call made a tensor, for who reads it next: the outermost that is left by then.

        Of a nested functional model it is the layer inside; a call that hands on what it was given counts.
        """
        self.alive.extend(made)  # an id may be used again once its tensor is gone
        passed = {id(tensor) for tensor in given}  # a Dropout at rest
        for position, tensor in enumerate(made):
            if id(tensor) in passed or id(tensor) not in self.makers or not function_within(layer):
                self.makers[id(tensor)] = slot, position

    def _close(self, slot: int, path: str, entered: tuple[Any, ...], outputs: Any) -> None:
        args, kwargs, given_masks, sources = entered
        self.calls[slot] = LayerCall(
            path=path,
            call=self.seen[path] - 1,
            kind=type(self.layers[slot]).__name__,
            parent=self.parents[-1] if self.parents else -1,
            args=args,
            kwargs=kwargs,
            masks=given_masks,
            outputs=tuple(to_array(tensor) for tensor in tensors(outputs)),
            output_masks=masks(outputs),
            sources=sources,
        )


_PENDING = LayerCall("", 0, "", -1, (), {}, (), (), ())


@dataclass(frozen=True)
class Recording:
    """The calls of one forward pass in the order in which the layers were entered.

    ``layers[i]`` is the live layer behind ``calls[i]``; the calls alone are plain data. ``consumers[j]``
    are the layers that took the model's input ``j`` first hand.
    """

    calls: tuple[LayerCall, ...]
    layers: tuple[keras.Layer, ...]
    outputs: Any
    consumers: tuple[tuple[keras.Layer, ...], ...]
    makers: tuple[int, ...] = ()


def record(model: keras.Model, inputs: Any, *, training: bool = False) -> Recording:
    """Call a model eagerly and record every layer call inside it.

    Parts that a layer calls in a loop over time (the cells of an RNN) belong to that layer and are not
    recorded.

    Args:
        model: a built model.
        inputs: what the model takes, arrays or tensors.
        training: the phase.
    """
    inputs = keras.tree.map_structure(tf.convert_to_tensor, inputs)
    recorder = _Recorder(makers={id(leaf): (-2 - j, 0) for j, leaf in enumerate(keras.tree.flatten(inputs))})
    with _calls_go_through(recorder):
        outputs = model(inputs, **phase(model, training=training))
    consumers = tuple(
        tuple(layer for call, layer in recorder.kept() if (-2 - j, 0) in call.sources)
        for j in range(len(keras.tree.flatten(inputs)))
    )
    kept = recorder.kept()
    makers = tuple(recorder.makers.get(id(leaf), (-1, 0))[0] for leaf in tensors(outputs))
    return Recording(tuple(c for c, _ in kept), tuple(layer for _, layer in kept), outputs, consumers, makers)


@contextmanager
def _calls_go_through(recorder: _Recorder) -> Iterator[None]:
    """Route every call of a layer, and of a bare operation of a functional graph, through the recorder."""
    layer_call, operation_call = keras.layers.Layer.__call__, keras.Operation.__call__

    def call_layer(self: Any, *args: Any, **kwargs: Any) -> Any:
        return recorder.around(self, layer_call, args, kwargs)

    def call_operation(self: Any, *args: Any, **kwargs: Any) -> Any:
        if isinstance(self, keras.layers.Layer):
            return operation_call(self, *args, **kwargs)
        return recorder.around(self, operation_call, args, kwargs)

    keras.layers.Layer.__call__, keras.Operation.__call__ = call_layer, call_operation
    try:
        yield
    finally:
        keras.layers.Layer.__call__, keras.Operation.__call__ = layer_call, operation_call


def _inherited(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return the ``training`` argument that a call inherits from the calls around it, if it does."""
    if not takes_training(layer) or kwargs.get("training") is not None:
        return {}
    place = place_of_training(layer)
    inherited = inherited_training(layer)
    return {} if inherited is None or len(args) > place else {"training": inherited}


def _calls_its_parts_in_a_loop(layer: Any) -> bool:
    return isinstance(layer, keras.layers.RNN | keras.layers.TimeDistributed)


def tensors(structure: Any) -> list[Any]:
    """Return the tensors and arrays in a structure, flattened."""
    return [
        leaf for leaf in keras.tree.flatten(structure) if hasattr(leaf, "dtype") and hasattr(leaf, "shape")
    ]


def masks(structure: Any) -> tuple[NDArray[np.generic] | None, ...]:
    """Return the Keras mask of each of `tensors`, as an array; ``None`` where it has none."""
    found = [mask_beside(leaf) for leaf in tensors(structure)]
    return tuple(None if mask is None else to_array(mask) for mask in found)


def _to_arrays(structure: Any) -> Any:
    return keras.tree.map_structure(lambda x: to_array(x) if hasattr(x, "dtype") else x, structure)


def to_array(tensor: Any) -> NDArray[np.generic] | None:
    """Return a tensor's value; ``None`` for a symbolic, sparse or ragged one."""
    if not hasattr(tensor, "numpy"):
        return tensor if type(tensor).__module__ == "numpy" else None
    if isinstance(tensor, tf.Tensor) and tensor.shape.rank:
        return np.asarray(tensor)  # a view: activations are the largest part of a recording
    value: NDArray[np.generic] = tensor.numpy()
    return value
