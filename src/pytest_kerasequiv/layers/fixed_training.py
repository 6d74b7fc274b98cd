"""What ``training`` is in a call: passed by `fit` and `predict`, fixed in a functional model, a default."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import keras

from pytest_kerasequiv.keras_access.functional import levels_of
from pytest_kerasequiv.keras_access.layers import direct_layers, keeps_state, layers_within, takes_training
from pytest_kerasequiv.keras_access.origin import is_keras


def called_in_training_mode(model: keras.Model) -> tuple[str, ...]:
    """Return the Keras paths of the layers whose call in a functional model fixes ``training=True``.

    ``predict``, ``evaluate`` and ``fit`` overrule it, a plain ``model(x)`` does not (Monte Carlo dropout).
    Layers whose own default is ``training=True`` (random images) count where the call says otherwise.
    """
    return tuple(sorted(_called(model, model.name)))


def training_defaults(model: keras.Model) -> tuple[str, ...]:
    """Return the classes of the user's whose ``call`` has ``True`` or ``False`` for ``training`` by default.

    A plain ``model(x)`` runs in the phase of the outermost such default; each is given as
    ``"Kind(training=True)"``, the model itself first.
    """
    found = []
    for layer in layers_within(model, itself=True):
        default = _default(type(layer))
        if isinstance(default, bool) and not is_keras(type(layer)):
            found.append(f"{type(layer).__name__}(training={default})")
    return tuple(dict.fromkeys(found))


def phase(model: keras.Model, *, training: bool) -> dict[str, bool]:
    """Return the ``training`` argument that ``fit`` or ``predict`` passes: none to a ``call`` without it."""
    return {"training": training} if takes_training(model) else {}


def resting_layers(model: keras.Model) -> tuple[str, ...]:
    """Return the kinds of layers that ``fit`` runs in inference mode, as the model's ``call`` is not told.

    A layer inherits ``training`` from the calls around it, however deep it lies; ``fit`` passes it to the
    model only if the model's own ``call`` takes it.
    """
    if takes_training(model):
        return ()
    return tuple(sorted(set(_acting(model))))


def _acting(layer: Any) -> Iterator[str]:
    """Yield the kinds of layers that act in training; of Keras's own not their parts (an LSTM's cell)."""
    if is_keras(type(layer)) and not isinstance(layer, keras.Model):
        if any(map(_acts_in_training, layers_within(layer, itself=True))):
            yield type(layer).__name__
        return
    if _acts_in_training(layer):
        yield type(layer).__name__
    for child in direct_layers(layer):
        yield from _acting(child)


def _acts_in_training(layer: Any) -> bool:
    """Tell whether a layer itself, not one within it, does something else in training.

    Keras's layers do if they draw random numbers or keep statistics; others take ``training`` to quantise.
    """
    own = not is_keras(type(layer)) or keeps_state(layer)
    if not takes_training(layer) or not own:
        return False
    within = layers_within(layer)
    rates = [getattr(layer, name, None) for name in ("rate", "dropout", "recurrent_dropout")]
    idle = any(rate is not None for rate in rates) and not any(rates)
    return not idle and not any(takes_training(one) for one in within)


def _default(cls: type) -> Any:
    try:
        parameter = inspect.signature(cls.call).parameters.get("training")  # type: ignore[attr-defined]
    except (AttributeError, TypeError, ValueError):  # a call that cannot be read tells nothing
        return None
    return None if parameter is None else parameter.default


def _called(model: Any, path: str) -> list[str]:
    nodes = [node for level in levels_of(model).values() for node in level if not node.is_input]
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
