"""Explaining a model that cannot be built because its input is too short for a layer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import keras
from keras.layers import InputLayer

from pytest_kerasequiv.building.specs import Dims
from pytest_kerasequiv.keras_access.functional import call_behind, is_symbolic
from pytest_kerasequiv.keras_access.private_modules import global_state
from pytest_kerasequiv.keras_access.random_state import fresh_names, preserved_state
from pytest_kerasequiv.keras_access.zero_lengths import zero_lengths_refused


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
        make: makes and builds a model; it is called several times, in `preserved_state`.

    Returns:
        The explanation, or ``None`` where the failure is of another kind.
    """
    with preserved_state(), fresh_names(), _unfiltered_tracebacks(), zero_lengths_refused():
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
        tensor = next((t for _, _, t in calls if is_symbolic(t)), None)
        return _Failure(found, tensor) if found is not None and tensor is not None else None
    return None


def _layer_calls(error: BaseException) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the layers in the traceback with the shape and tensor they were called with, outermost first."""
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
    return call_behind(tensor)[1] if is_symbolic(tensor) else None


@contextmanager
def _unfiltered_tracebacks() -> Iterator[None]:
    """Keep the frames of Keras in tracebacks: they tell which layer was called with what."""
    enabled = keras.config.is_traceback_filtering_enabled()
    keras.config.disable_traceback_filtering()
    try:
        yield
    finally:
        if enabled:
            keras.config.enable_traceback_filtering()


Make = Callable[[], Any]

_BUDGET_SECONDS = 20.0
_MAX_LENGTH = 1 << 20


def shortest_input(make: Make, start: Dims, axes: Sequence[int], lacking: int) -> Dims | None:
    """Return the input shape with the least lengths on ``axes`` for which ``make`` succeeds.

    Longer inputs are tried in growing steps, then the gap is bisected, each axis on its own: a window that
    fits fits a longer input too. Every length named was tried, as was the one below it.

    Args:
        make: makes and builds a model whose input has shape ``start``, and fails for that.
        start: shape of the input with the batch axis.
        axes: the axes to lengthen.
        lacking: how much the layer at fault lacks, the first step.

    Returns:
        The shape, or ``None`` where none was found: some layer then ties the input to its length.
    """
    deadline = time.monotonic() + _BUDGET_SECONDS

    def works(shape: Dims) -> bool:
        if time.monotonic() > deadline:
            raise TimeoutError
        return _works(make, start, shape)

    try:
        enough = _longer(start, axes, lacking, works)
        for axis in axes:
            enough = enough and _shrink(enough, axis, start[axis], works)
    except TimeoutError:
        return None
    return enough


def _longer(start: Dims, axes: Sequence[int], step: int, works: Callable[[Dims], bool]) -> Dims | None:
    """Lengthen all ``axes`` by ``step``, 2 ``step``, 4 ``step`` ... until the model can be built."""
    while step < _MAX_LENGTH:
        shape = tuple(d + step if n in axes and d is not None else d for n, d in enumerate(start))
        if works(shape):
            return shape
        step *= 2
    return None


def _shrink(shape: Dims, axis: int, fails: int | None, works: Callable[[Dims], bool]) -> Dims:
    """Bisect one axis between a length that works and a shorter one that fails, if that does fail."""
    good, bad = shape[axis], fails
    if good == bad or works(_with(shape, axis, bad)):
        return _with(shape, axis, bad)
    while good is not None and bad is not None and good - bad > 1:
        middle = (good + bad) // 2
        if works(_with(shape, axis, middle)):
            good = middle
        else:
            bad = middle
    return _with(shape, axis, good)


def _with(shape: Dims, axis: int, length: int | None) -> Dims:
    return (*shape[:axis], length, *shape[axis + 1 :])


def _works(make: Make, old: Dims, new: Dims) -> bool:
    """Whether ``make`` succeeds when its inputs of shape ``old`` are ``new``; no weights are allocated."""
    waiting = global_state.get_global_attribute("uninitialized_variables")
    global_state.set_global_attribute("uninitialized_variables", [])
    try:
        with _stretched_inputs(old, new), keras.StatelessScope(initialize_variables=False):
            make()
    except Exception:
        return False
    finally:
        global_state.set_global_attribute("uninitialized_variables", waiting)
    return True


@contextmanager
def _stretched_inputs(old: Dims, new: Dims) -> Iterator[None]:
    """Let every ``keras.Input`` of shape ``old`` have shape ``new``, wherever the builder makes it."""
    original = InputLayer.__init__

    def stretched(self: Any, shape: Any = None, **kwargs: Any) -> None:
        if shape is not None and tuple(shape) == old[1:]:
            shape = new[1:]
        batch_shape = kwargs.get("batch_shape")
        if batch_shape is not None and tuple(batch_shape)[1:] == old[1:]:
            kwargs["batch_shape"] = (batch_shape[0], *new[1:])
        original(self, shape, **kwargs)

    InputLayer.__init__ = stretched
    try:
        yield
    finally:
        InputLayer.__init__ = original
