"""Layers that a functional model calls with ``training=True``: ``model(x)`` and ``predict`` then disagree."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def called_in_training_mode(model: keras.Model) -> tuple[str, ...]:
    """Return the Keras paths of the layers whose call in a functional model fixes ``training=True``.

    ``predict``, ``evaluate`` and ``fit`` overrule it, a plain ``model(x)`` does not (Monte Carlo dropout).
    Layers whose own default is ``training=True`` (random images) count where the call says otherwise.
    """
    return tuple(sorted(_called(model, model.name)))


def _called(model: Any, path: str) -> list[str]:
    levels = getattr(model, "_nodes_by_depth", None) or {}
    nodes = [node for level in levels.values() for node in level if not node.is_input]
    found = [f"{path}/{node.operation.name}" for node in nodes if _fixed(node)]
    for layer in getattr(model, "layers", ()):
        if hasattr(layer, "layers"):
            found += _called(layer, f"{path}/{layer.name}")
    return found


def _fixed(node: Any) -> bool:
    """Tell whether a call departs from what its layer's class does in a plain call."""
    default = inspect.signature(type(node.operation).call).parameters.get("training")
    chosen = node.arguments.kwargs.get("training")
    always = default is not None and default.default is True
    return (chosen is not True) if always else (chosen is True)
