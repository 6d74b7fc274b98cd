"""Explaining a model that cannot be built because its input is too short for a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from pytest_kerasequiv.models.seeds import fresh_names, preserved_world
from pytest_kerasequiv.models.shortest import Make, shortest_input
from pytest_kerasequiv.models.specs import Dims


@dataclass(frozen=True)
class TooShort:
    """A layer that gets fewer steps than its window needs.

    Attributes:
        layer: name of the layer.
        kind: its class.
        window: ``"kernel_size"`` or ``"pool_size"`` with its value, and the dilation where there is one.
        axes: the axes of the layer's input that are too short (the batch axis is 0).
        gets: what the layer gets on these axes.
        needs: the least it needs there.
        spatial: all the axes that its window slides along.
        input_shape: shape of the model's input with the batch axis, ``None`` where it cannot be told.
        shortest: the same with the least lengths that the whole model can be built for, where they were
            found.
    """

    layer: str
    kind: str
    window: str
    axes: tuple[int, ...]
    gets: tuple[int, ...]
    needs: tuple[int, ...]
    spatial: tuple[int, ...]
    input_shape: Dims | None = None
    shortest: Dims | None = None

    def message(self, who: str) -> str:
        """Return the paragraph for the user about side ``who``."""
        where = f" for inputs of shape {self.input_shape[1:]}" if self.input_shape else ""
        many = "steps" if len(self.axes) == 1 else "positions"
        return (
            f"{who} cannot be built{where}: layer {self.layer!r} ({self.kind}, {self.window}) gets "
            f"{_lengths(self.gets)} {many} but needs at least {_lengths(self.needs)}. {self._remedy()}"
        )

    def _remedy(self) -> str:
        if self.shortest is None or self.input_shape is None:
            return "Give longer inputs, a smaller window, or padding='same'"
        changed = [n for n, (a, b) in enumerate(zip(self.input_shape, self.shortest, strict=True)) if a != b]
        lengths = _lengths([self.shortest[n] for n in changed])
        return (
            f"The shortest input that works has {lengths} {'steps' if len(changed) == 1 else 'positions'}: "
            f"input shape {self.shortest[1:]}"
        )


def _lengths(lengths: Sequence[int | None]) -> str:
    return " x ".join(str(length) for length in lengths)


def diagnose(make: Make) -> TooShort | None:
    """Run a failing ``make`` again and explain its failure, if a window is larger than what it slides over.

    Args:
        make: makes and builds a model; it is called several times, in `preserved_world`.

    Returns:
        The explanation, or ``None`` where the failure is of another kind.
    """
    with preserved_world(), fresh_names(), _unfiltered_tracebacks():
        failure = _failure(make)
        if failure is None:
            return None
        inputs = _inputs_behind(failure.tensor)
        if len(inputs) != 1 or None in inputs[0][1:]:
            return failure.found
        found = replace(failure.found, input_shape=inputs[0])
        ranks = {len(failure.tensor.shape), len(inputs[0]), len(found.spatial) + 2}
        if len(ranks) > 1:
            return found  # a reshape or a wrapper in between: the layer's axes are no axes of the input
        return replace(found, shortest=_shortest(make, inputs[0], found))


def _shortest(make: Make, start: Dims, found: TooShort) -> Dims | None:
    """Lengthen the axes at fault; where that is not enough, a later layer lacks on another: all."""
    lacking = max(n - g for n, g in zip(found.needs, found.gets, strict=True))
    for axes in dict.fromkeys([found.axes, found.spatial]):
        shape = shortest_input(make, start, axes, lacking)
        if shape is not None:
            return shape
    return None


@dataclass(frozen=True)
class _Failure:
    """What is too short, and the tensor that the outermost layer was called with when it showed."""

    found: TooShort
    tensor: Any


def _failure(make: Make) -> _Failure | None:
    """Make the model and read off the traceback which layer got too little; ``None`` if none did."""
    try:
        make()
    except Exception as error:
        calls = list(_layer_calls(error))
        found = next(
            (f for f in (_too_short(layer, shape) for layer, shape, _ in reversed(calls)) if f), None
        )
        tensor = next((t for _, _, t in calls if hasattr(t, "_keras_history")), None)
        return _Failure(found, tensor) if found is not None and tensor is not None else None
    return None


def _layer_calls(error: BaseException) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the layers in the traceback with the shape and tensor they were called with, outermost first."""
    import keras

    for frame in _frames(error):
        layer = frame.get("self")
        if not isinstance(layer, keras.Layer):
            continue
        for value in (*frame.get("args", ()), frame.get("inputs")):
            if isinstance(getattr(value, "shape", None), tuple):
                yield layer, value.shape, value
        if isinstance(frame.get("input_shape"), tuple):
            yield layer, frame["input_shape"], None


def _frames(error: BaseException) -> Iterator[dict[str, Any]]:
    """Yield the local variables along the traceback, outermost first; the cause of an error comes last."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        yield trace.tb_frame.f_locals
        trace = trace.tb_next
    inner = error.__cause__ or error.__context__
    if inner is not None:
        yield from _frames(inner)


def _too_short(layer: Any, shape: Any) -> TooShort | None:
    """Return what a convolution or pooling with padding "valid" lacks on an input of ``shape``."""
    window = _window(layer)
    if window is None or layer.padding != "valid":
        return None
    text, needs = window
    first = 2 if layer.data_format == "channels_first" else 1
    if len(shape) != len(needs) + 2:
        return None
    lacking = [
        (first + n, shape[first + n], need)
        for n, need in enumerate(needs)
        if shape[first + n] is not None and shape[first + n] < need
    ]
    if not lacking:
        return None
    axes, gets, least = zip(*lacking, strict=True)
    spatial = tuple(range(first, first + len(needs)))
    return TooShort(layer.name, type(layer).__name__, text, axes, gets, least, spatial)


def _window(layer: Any) -> tuple[str, tuple[int, ...]] | None:
    """Return how the layer's window is written and the length it spans on each axis."""
    if hasattr(layer, "kernel_size") and hasattr(layer, "dilation_rate") and not _is_transposed(layer):
        dilation = layer.dilation_rate
        text = f"kernel_size={_plain(layer.kernel_size)}"
        text += f", dilation_rate={_plain(dilation)}" if any(d != 1 for d in dilation) else ""
        return text, tuple((k - 1) * d + 1 for k, d in zip(layer.kernel_size, dilation, strict=True))
    if hasattr(layer, "pool_size") and hasattr(layer, "padding"):
        return f"pool_size={_plain(layer.pool_size)}", tuple(layer.pool_size)
    return None


def _is_transposed(layer: Any) -> bool:
    return "Transpose" in "".join(cls.__name__ for cls in type(layer).__mro__)


def _plain(lengths: Sequence[int]) -> str:
    return str(lengths[0]) if len(lengths) == 1 else str(tuple(lengths))


def _inputs_behind(tensor: Any) -> list[Dims]:
    """Return the shapes of the inputs that a symbolic tensor was computed from."""
    seen: set[int] = set()
    shapes: list[Dims] = []
    waiting = [tensor]
    while waiting:
        node = _node_of(waiting.pop())
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
        if node.is_input:
            shapes.append(tuple(node.output_tensors[0].shape))
        waiting.extend(node.input_tensors)
    return shapes


def _node_of(tensor: Any) -> Any:
    history = getattr(tensor, "_keras_history", None)
    return None if history is None else history.operation._inbound_nodes[history.node_index]


@contextmanager
def _unfiltered_tracebacks() -> Iterator[None]:
    """Keep the frames of Keras in tracebacks: they tell which layer was called with what."""
    import keras

    enabled = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if enabled:
            keras.config.enable_traceback_filtering()
