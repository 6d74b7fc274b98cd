"""What an optimizer tells weights apart by, beyond their numbers: names, shapes, and code of its own."""

from __future__ import annotations

from typing import Any

import keras

from pytest_kerasequiv.keras_access.optimizer_state import ELEMENTWISE, innermost, name_seen, treatment
from pytest_kerasequiv.keras_access.origin import is_library
from pytest_kerasequiv.weights.variables import variables_of

WHOLE = frozenset({*ELEMENTWISE, "Lamb"})
"""Optimizers whose step is the same whatever the shape: element by element, or by the norm of a weight."""


def told_apart(model: keras.Model) -> dict[str, dict[str, Any]]:
    """Return what a compiled model's optimizer may know each trained weight by; empty for its numbers alone.

    Keys are indices into `variables_of`, as text. A value has the weight's path, ``"weight"``; how one of
    Keras's optimizers treats it apart from others, ``"treated"``; and by what else the optimizer's code may
    know it, ``"seen"``: by the shape, and where it is the user's by names.
    """
    optimizer = innermost(model.optimizer)
    own = not is_library(optimizer)
    shaped = own or type(optimizer).__name__ not in WHOLE
    found: dict[str, dict[str, Any]] = {}
    positions = {id(variable): index for index, variable in enumerate(variables_of(model))}
    for variable in model.trainable_variables:
        treated = [] if own else treatment(optimizer, variable)
        seen = [name_seen(variable), variable.path] if own else []
        if shaped:
            seen.append(list(variable.shape))
        found[str(positions[id(variable)])] = {"weight": variable.path, "treated": treated, "seen": seen}
    return found if any(one["treated"] or one["seen"] for one in found.values()) else {}
