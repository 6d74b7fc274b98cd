"""Fixed targets for a loss: of the kind that each output's loss takes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.generic]


SPECIAL = (
    "ctc",
    "sparse",
    "categorical",
    "kl",
    "kullback",
    "binary",
    "dice",
    "tversky",
    "hinge",
    "poisson",
    "logarithmic",
)
"""What the names of losses hold that take other targets than any numbers."""


@dataclass(frozen=True)
class Hints:
    """What else tells which targets a loss takes.

    Attributes:
        other: the ``loss`` argument of the other twin: it counts where the name of the own one tells nothing.
        shares: whether a loss is computed from shares of classes, which sum to 1.
    """

    other: Any = None
    shares: bool = False


NO_HINTS = Hints()


def targets_for(
    shapes: Sequence[tuple[int, ...]], names: Sequence[str], loss: Any, seed: int, hints: Hints = NO_HINTS
) -> list[Array]:
    """Return one target array for each flattened output.

    Args:
        shapes: the shapes of the outputs that the targets are for.
        names: their names, which a dict of losses uses.
        loss: the ``loss`` argument of ``compile``; ``None`` for a mean square.
        seed: equal seeds give equal targets.
        hints: what else is known of the losses.
    """
    rng = np.random.default_rng([seed, 3])
    losses = zip(_per_output(loss, names), _per_output(hints.other, names), strict=True)
    told = [next(filter(_is_special, map(_kind, both)), _kind(both[0])) for both in losses]
    kinds = ["categorical" if hints.shares and not _is_special(kind) else kind for kind in told]
    return [_target(kind, shape, rng) for kind, shape in zip(kinds, shapes, strict=True)]


def _is_special(kind: str) -> bool:
    return any(word in kind for word in SPECIAL)


def _per_output(loss: Any, names: Sequence[str]) -> list[Any]:
    if isinstance(loss, Mapping):
        return [loss.get(name) for name in names]
    if isinstance(loss, list | tuple):
        return list(loss) if len(loss) == len(names) else [None] * len(names)
    return [loss] * len(names)


def _kind(loss: Any) -> str:
    """Return the snake-case name of a loss."""
    function = getattr(loss, "fn", loss)
    name = loss if isinstance(loss, str) else getattr(function, "__name__", type(loss).__name__)
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", str(name)).lower()


def _target(kind: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if (
        "ctc" in kind and len(shape) == 3
    ):  # labels of fewer steps than the output has, the rest of them padding
        labels = rng.integers(1, shape[-1], shape[:-1]).astype(np.int32)
        labels[:, max(shape[1] // 2, 1) :] = 0
        return labels
    if "sparse" in kind:
        return rng.integers(0, shape[-1], shape[:-1]).astype(np.int32)
    if "categorical" in kind:
        return np.eye(shape[-1], dtype=np.float32)[rng.integers(0, shape[-1], shape[:-1])]
    if "kl" in kind or "kullback" in kind:
        return rng.dirichlet(np.ones(shape[-1]), shape[:-1]).astype(np.float32)
    if "binary" in kind or kind in {"dice", "tversky"}:
        return rng.integers(0, 2, shape).astype(np.float32)
    if "hinge" in kind and "categorical" not in kind:
        return (2.0 * rng.integers(0, 2, shape) - 1).astype(np.float32)
    if "poisson" in kind or "logarithmic" in kind:
        return rng.integers(0, 5, shape).astype(np.float32)
    return rng.standard_normal(shape).astype(np.float32)
