"""Searching the shortest input for which a model can be built."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pytest_kerasequiv.models.specs import Dims

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
    import keras
    from keras.src.backend.common import global_state

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
    from keras.src.layers import InputLayer

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
