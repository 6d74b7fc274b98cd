"""Generated texts for inputs of dtype string."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TEXTS = ("a", "the cat", "equivalence of two models", "")


def random_texts(
    rng: np.random.Generator, shape: tuple[int, ...], tokens: Sequence[Any]
) -> NDArray[np.generic]:
    """Return an array of texts: plain ones, tokens, and, but for a single text, two that need tidying.

    The two have capitals, digits and repeated blanks, and punctuation: models that standardise otherwise
    look up other tokens in them.

    Args:
        rng: draws.
        shape: shape of the array.
        tokens: what a lookup layer knows; the texts that need tidying are made of them.
    """
    import numpy as np

    drawn = np.asarray(rng.choice(np.array([*TEXTS, *tokens], dtype=object), shape), dtype=object)
    if drawn.size > 2:
        drawn.flat[0], drawn.flat[1] = untidy_texts([str(token) for token in tokens])
    return drawn


def untidy_texts(tokens: Sequence[str]) -> tuple[str, str]:
    """Return two texts of known tokens: one in other capitals, one with punctuation."""
    first, second, *_ = [*(token for token in tokens if token.strip()), "the", "cat"]
    return f"{first.swapcase()}  {second} 7", f"{first}, {second}! {first}-{second}. {second.swapcase()}"
