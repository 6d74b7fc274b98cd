"""Compiling a model for a while: the caller's optimizer, losses and metrics come back untouched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from pytest_kerasequiv.building.compiling import compile_fresh, compile_settings

_CHECKPOINTING = (
    "_self_unconditional_checkpoint_dependencies",
    "_self_unconditional_dependency_names",
)


@contextmanager
def compiled_for_now(model: keras.Model, settings: Mapping[str, Any] | None) -> Iterator[None]:
    """Compile a model with fresh copies of ``settings``; afterwards it is compiled as it was, or not at all.

    Args:
        model: a built model.
        settings: arguments of ``Model.compile``; ``None`` leaves the model as it is compiled.
    """
    before = dict(vars(model))
    # TensorFlow's checkpointing notes every optimizer in these, in place, and would keep it alive.
    noted = {name: value.copy() for name, value in before.items() if name in _CHECKPOINTING}
    vars(model).update(noted)
    try:
        if settings is not None:
            compile_fresh(model, settings)
        yield
    finally:
        vars(model).clear()
        vars(model).update(before)


def loss_settings(model: keras.Model) -> dict[str, Any] | None:
    """Return the settings that decide the loss of a compiled model; ``None`` where it has no loss.

    The optimizer among them is a plain SGD, so that no copy of a stateful one is made.
    """
    settings = compile_settings(model)
    if settings is None or settings.get("loss") is None:
        return None
    kept = {name: settings[name] for name in ("loss", "loss_weights") if settings.get(name) is not None}
    return {"optimizer": "sgd", "jit_compile": False, **kept}
