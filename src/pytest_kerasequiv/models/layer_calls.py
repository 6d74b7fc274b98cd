"""Recording the layer calls of one forward pass, and replaying single calls in isolation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray


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
            _to_arrays(kwargs),
            _masks((args, kwargs)),
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
            self._adopt(slot, _tensors((args, kwargs)), _tensors(outputs))
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
        return tuple(self.makers.get(id(leaf), (-1, 0)) for leaf in _tensors(structure))

    def _adopt(self, slot: int, given: list[Any], made: list[Any]) -> None:
        """Note which call made a tensor: the innermost, but a call that hands on what it was given counts."""
        self.alive.extend(made)  # an id may be used again once its tensor is gone
        passed = {id(tensor) for tensor in given}  # a Dropout at rest
        for position, tensor in enumerate(made):
            if id(tensor) in passed or id(tensor) not in self.makers:
                self.makers[id(tensor)] = slot, position

    def _close(self, slot: int, path: str, entered: tuple[Any, ...], outputs: Any) -> None:
        args, kwargs, masks, sources = entered
        self.calls[slot] = LayerCall(
            path=path,
            call=self.seen[path] - 1,
            kind=type(self.layers[slot]).__name__,
            parent=self.parents[-1] if self.parents else -1,
            args=args,
            kwargs=kwargs,
            masks=masks,
            outputs=tuple(_to_array(tensor) for tensor in _tensors(outputs)),
            output_masks=_masks(outputs),
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
    import keras
    import tensorflow as tf

    inputs = keras.tree.map_structure(tf.convert_to_tensor, inputs)
    recorder = _Recorder(makers={id(leaf): (-2 - j, 0) for j, leaf in enumerate(keras.tree.flatten(inputs))})
    with _calls_go_through(recorder):
        outputs = model(inputs, training=training)
    consumers = tuple(
        tuple(layer for call, layer in recorder.kept() if (-2 - j, 0) in call.sources)
        for j in range(len(keras.tree.flatten(inputs)))
    )
    kept = recorder.kept()
    makers = tuple(recorder.makers.get(id(leaf), (-1, 0))[0] for leaf in _tensors(outputs))
    return Recording(tuple(c for c, _ in kept), tuple(layer for _, layer in kept), outputs, consumers, makers)


@dataclass(frozen=True)
class Given:
    """A tensor to replay a layer on: its value and its Keras mask."""

    value: NDArray[np.generic]
    mask: NDArray[np.generic] | None = None


def given_to(call: LayerCall) -> list[Given]:
    """Return the tensors that a call was given, in the order of its ``sources``."""
    values = _tensors((call.args, dict(call.kwargs)))
    return [Given(value, mask) for value, mask in zip(values, call.masks, strict=True)]


def replay(layer: keras.Layer, call: LayerCall, tensors: Sequence[Given] | None = None) -> tuple[Given, ...]:
    """Run one layer again, on the tensors of a recorded call or on others in their place.

    Masks travel as they did: on the tensors, and as an argument only where the caller gave one.

    Args:
        layer: the layer to run: the one that was called, or another that takes the same.
        call: the recorded call.
        tensors: tensors in the place of the recorded ones, in the order of ``call.sources``.

    Returns:
        The flattened outputs.
    """
    import keras

    given = iter(tensors if tensors is not None else given_to(call))
    structure = (call.args, dict(call.kwargs))
    args, kwargs = keras.tree.map_structure(
        lambda leaf: _tensor_of(next(given)) if hasattr(leaf, "dtype") else leaf, structure
    )
    outputs = layer(*args, **{name: value for name, value in kwargs.items() if _takes(layer, name)})
    masks = _masks(outputs)
    return tuple(
        Given(value, mask)
        for value, mask in zip((_to_array(t) for t in _tensors(outputs)), masks, strict=True)
        if value is not None
    )


def replay_backward(layer: keras.Layer, call: LayerCall) -> tuple[NDArray[np.generic], ...]:
    """Run one layer on a recorded call's tensors and send random cotangents back through it.

    Args:
        layer: the layer to run.
        call: the recorded call; equal calls get equal cotangents.

    Returns:
        The gradients for each float tensor it was given, then for each of its trainable weights.
    """
    import keras
    import numpy as np
    import tensorflow as tf

    given = [_tensor_of(one) for one in given_to(call)]
    floats = [tensor for tensor in given if tensor.dtype.is_floating]
    leaves = iter(given)
    args, kwargs = keras.tree.map_structure(
        lambda leaf: next(leaves) if hasattr(leaf, "dtype") else leaf, (call.args, dict(call.kwargs))
    )
    weights = list(getattr(layer, "trainable_variables", ()))
    rng = np.random.default_rng(0)
    with tf.GradientTape() as tape:
        tape.watch(floats)
        outputs = layer(*args, **{name: value for name, value in kwargs.items() if _takes(layer, name)})
        made = [tensor for tensor in _tensors(outputs) if tensor.dtype.is_floating]
        total = tf.add_n(
            [
                tf.reduce_sum(tensor * tf.cast(rng.standard_normal(tensor.shape), tensor.dtype))
                for tensor in made
            ]
        )
    zero = tf.UnconnectedGradients.ZERO
    gradients = tape.gradient(total, [*floats, *weights], unconnected_gradients=zero)
    return tuple(tf.convert_to_tensor(gradient).numpy() for gradient in gradients)


def _tensor_of(given: Given) -> Any:
    import tensorflow as tf

    tensor = tf.constant(given.value)
    if given.mask is not None:
        tensor._keras_mask = tf.constant(given.mask)
    return tensor


def _takes(layer: keras.Layer, name: str) -> bool:
    import inspect

    if name == "training" and getattr(layer, "_call_has_training_arg", False):
        return True
    parameters = inspect.signature(layer.call).parameters
    return name in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())


@contextmanager
def _calls_go_through(recorder: _Recorder) -> Iterator[None]:
    """Route every call of a layer, and of a bare operation of a functional graph, through the recorder."""
    import keras

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


def _calls_its_parts_in_a_loop(layer: Any) -> bool:
    import keras

    return isinstance(layer, keras.layers.RNN | keras.layers.TimeDistributed)


def _tensors(structure: Any) -> list[Any]:
    import keras

    return [
        leaf for leaf in keras.tree.flatten(structure) if hasattr(leaf, "dtype") and hasattr(leaf, "shape")
    ]


def _masks(structure: Any) -> tuple[NDArray[np.generic] | None, ...]:
    masks = [getattr(leaf, "_keras_mask", None) for leaf in _tensors(structure)]
    return tuple(None if mask is None else _to_array(mask) for mask in masks)


def _to_arrays(structure: Any) -> Any:
    import keras

    return keras.tree.map_structure(lambda x: _to_array(x) if hasattr(x, "dtype") else x, structure)


def _to_array(tensor: Any) -> NDArray[np.generic] | None:
    """Return a tensor's value; ``None`` for a symbolic, sparse or ragged one."""
    if not hasattr(tensor, "numpy"):
        return tensor if type(tensor).__module__ == "numpy" else None
    value: NDArray[np.generic] = tensor.numpy()
    return value
