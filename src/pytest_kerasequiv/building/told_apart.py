"""What an optimizer tells weights apart by, beyond their numbers: names, shapes, and code of its own."""

from __future__ import annotations

from typing import Any

import keras

from pytest_kerasequiv.keras_access.optimizer_state import ELEMENTWISE, innermost, name_seen, treatment
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.weights.variables import variables_of

BY_NUMBERS = frozenset({*ELEMENTWISE, "Lamb"})
"""Keras's optimizers whose step is the same whatever the shape: element by element, or by a weight's norm."""

BY_SHAPE = frozenset({"Adafactor", "Muon"})
"""Keras's optimizers that go by the shape too, and by what `treatment` tells."""


def told_apart(model: keras.Model) -> dict[str, dict[str, Any]]:
    """Return what a compiled model's optimizer may know each trained weight by; empty for its numbers alone.

    Keys are indices into `variables_of`, as text. A value has the weight's path, ``"weight"``; how one of
    Keras's optimizers treats it apart from others, ``"treated"``; and by what else the optimizer's code may
    know it, ``"seen"``: by the shape, and unless it is one of Keras's that is known, by names.
    """
    if model.optimizer is None:
        return {}
    optimizer = innermost(model.optimizer)
    kind = type(optimizer).__name__
    known = is_keras(model.optimizer) and is_keras(optimizer) and kind in BY_NUMBERS | BY_SHAPE
    trained = {id(variable) for variable in model.trainable_variables}
    found: dict[str, dict[str, Any]] = {}
    for index, variable in enumerate(variables_of(model)):
        if id(variable) in trained:
            seen = [] if known else [name_seen(variable), variable.path]
            if not known or kind in BY_SHAPE:
                seen.append(list(variable.shape))
            treated = treatment(optimizer, variable) if known else []
            found[str(index)] = {"weight": variable.path, "treated": treated, "seen": seen}
    return found if any(one["treated"] or one["seen"] for one in found.values()) else {}
