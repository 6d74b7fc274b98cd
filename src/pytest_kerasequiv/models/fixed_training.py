"""Layers that a functional model calls with ``training=True``: ``model(x)`` and ``predict`` then disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import keras


def called_in_training_mode(model: keras.Model) -> tuple[str, ...]:
    """Return the Keras paths of the layers whose call in a functional model fixes ``training=True``.

    ``predict``, ``evaluate`` and ``fit`` overrule it, a plain ``model(x)`` does not (Monte Carlo dropout).
    """
    return tuple(sorted(_called(model, model.name)))


def _called(model: Any, path: str) -> list[str]:
    levels = getattr(model, "_nodes_by_depth", None) or {}
    nodes = [node for level in levels.values() for node in level if not node.is_input]
    found = [
        f"{path}/{node.operation.name}" for node in nodes if node.arguments.kwargs.get("training") is True
    ]
    for layer in getattr(model, "layers", ()):
        if hasattr(layer, "layers"):
            found += _called(layer, f"{path}/{layer.name}")
    return found
