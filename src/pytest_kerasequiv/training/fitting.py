"""Does the plan go with the model? Asked before training, so that the answer names the argument."""

from __future__ import annotations

from typing import Any

import keras

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.data import Split, leaves
from pytest_kerasequiv.training.feeds import shown
from pytest_kerasequiv.training.plan import Training


def check_fits(model: keras.Model, plan: Training, side: str) -> None:
    """Check that a model can be trained as planned.

    Args:
        model: the built model of one twin.
        plan: the plan.
        side: ``"reference"`` or ``"candidate"``, for the message.

    Raises:
        InputError: the model is not compiled, or takes or returns other shapes than the data have.
    """
    if plan.fit is not None:
        return
    if not model.compiled:
        raise InputError(
            f"the {side} {model.name!r} is not compiled, so it cannot be trained; compile it in its builder, "
            'pass compile={"optimizer": "adam", "loss": "mse"} for both twins, or use Training(fit=...)'
        )
    if model.optimizer is None and plan.epochs:
        raise InputError(f"the {side} {model.name!r} is compiled without an optimizer; compile it with one")
    for name, data in (("train", shown(plan.train)), ("test", shown(plan.test))):
        _check_inputs(model, name, data, side)
        _check_targets(model, name, data, side)


def _check_inputs(model: keras.Model, name: str, data: Split, side: str) -> None:
    expected = _shapes(getattr(model, "inputs", None))
    given = [(place, array.shape) for place, array in leaves(data.x)]
    if not expected:
        return
    if len(given) != len(expected):
        raise InputError(
            f"{name} x holds {len(given)} arrays, but the {side} {model.name!r} has {len(expected)} inputs "
            f"of "
            f"shape {_told(expected)}; pass one array an input"
        )
    if isinstance(data.x, dict):  # Keras pairs these by name, not by order
        return
    for (place, shape), want in zip(given, expected, strict=True):
        if not _goes(shape, want):
            raise InputError(
                f"{name} x{place} has shape {shape}, but the {side} {model.name!r} takes {_told([want])}; "
                f"reshape {name} x or build the model for this input shape"
            )


def _check_targets(model: keras.Model, name: str, data: Split, side: str) -> None:
    """Only where the loss compares elements: Keras broadcasts some wrong shapes and trains on nonsense."""
    expected = _shapes(getattr(model, "outputs", None))
    targets = list(leaves(data.y))
    if len(expected) != 1 or len(targets) != 1 or not _compares_elements(model.loss):
        return
    (_, target), want = targets[0], expected[0]
    if not _goes(_squeezed(target.shape), _squeezed(want)):
        raise InputError(
            f"{name} y has shape {target.shape}, but the {side} {model.name!r} returns {_told([want])}; "
            f"reshape {name} y to what the model returns"
        )


def _compares_elements(loss: Any) -> bool:
    """Tell whether a loss is one of Keras's own that take targets of the output's shape."""
    found = keras.losses.get(loss) if isinstance(loss, str) else loss
    kind = found if callable(found) and hasattr(found, "__name__") else type(found)
    own = kind.__module__.startswith("keras.")
    return own and not any(word in kind.__name__.lower() for word in ("sparse", "ctc", "compile"))


def _squeezed(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """Keras drops or adds a last axis of one."""
    return shape[:-1] if len(shape) > 1 and shape[-1] == 1 else shape


def _shapes(tensors: Any) -> list[tuple[int | None, ...]]:
    return [tuple(tensor.shape) for tensor in keras.tree.flatten(tensors) if hasattr(tensor, "shape")]


def _goes(shape: tuple[int | None, ...], want: tuple[int | None, ...]) -> bool:
    """Compare all axes but the batch; ``None`` takes any length; Keras adds or drops a last axis of one."""
    if len(shape) + 1 == len(want) and want[-1] == 1:
        shape = (*shape, 1)
    elif len(shape) == len(want) + 1 and shape[-1] == 1:
        shape = shape[:-1]
    return len(shape) == len(want) and all(
        w is None or s == w for s, w in zip(shape[1:], want[1:], strict=True)
    )


def _told(shapes: list[tuple[int | None, ...]]) -> str:
    return ", ".join(
        f"({', '.join('any' if axis is None else str(axis) for axis in shape)})" for shape in shapes
    )
