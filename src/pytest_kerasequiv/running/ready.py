"""Calls of a model that have been traced already, to be run instead of tracing the same again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

_STASH = "_kerasequiv_ready"


@dataclass(frozen=True, eq=False)
class ReadyCall:
    """A traced call.

    Attributes:
        placeholders: the tensors that it takes, flattened.
        run: takes these and returns what the untraced call returns.
        sample: the structure of the outputs, of specs.
        compiled: whether its loss is the compiled one; ``None`` where it has no loss.
    """

    placeholders: tuple[Any, ...]
    run: Callable[[Sequence[Any]], Any]
    sample: Any
    compiled: bool | None = None

    def takes(self, tensors: Sequence[Any]) -> bool:
        """Whether these tensors can be given to it."""
        return len(tensors) == len(self.placeholders) and all(
            tensor.dtype == placeholder.dtype and placeholder.shape.is_compatible_with(tensor.shape)
            for tensor, placeholder in zip(tensors, self.placeholders, strict=True)
        )


@dataclass(frozen=True, eq=False)
class _Stash:
    """An object of its own, since Keras tracks (and changes) lists and dicts."""

    calls: Mapping[str, ReadyCall]


def keep_ready(model: keras.Model, calls: Mapping[str, ReadyCall]) -> None:
    """Keep the traced calls of a model with it, by the names under which a `Runner` asks for them."""
    if calls or hasattr(model, _STASH):
        setattr(model, _STASH, _Stash(calls))


def ready(model: keras.Model, name: str, compiled: bool) -> ReadyCall | None:
    """Return the traced call of a name; ``None`` where there is none with the loss that is asked for.

    Args:
        model: the model.
        name: what is called.
        compiled: whether the compiled loss is wanted, if any.
    """
    stash = getattr(model, _STASH, None)
    found = None if stash is None else stash.calls.get(name)
    return found if found is not None and found.compiled in {None, compiled} else None
