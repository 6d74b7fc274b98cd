"""What is kept of the value of a variable: enough to tell equal values, and to draw others like them."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.correspondence.known import Described, Known, known_variables
from pytest_kerasequiv.running.perturbing import about
from pytest_kerasequiv.weights.adapted import learned_statistics
from pytest_kerasequiv.weights.variables import variables_of

Array = NDArray[np.generic]

LARGEST_WHOLE = 4_096
"""Most elements of a value that is kept whole: states of seed generators, tables, counters."""

STEPS = 32
"""A value's numbers are kept as the borders of so many equally frequent ranges."""


@dataclass(frozen=True)
class Held(Described):
    """One variable, and what is kept of its value.

    Attributes:
        digest: of dtype and elements.
        spread: the borders of equally frequent ranges of its numbers, where these are floats.
        whole: the value, where it is kept.
        learned: whether it is a statistic that a Normalization has learned.
    """

    digest: str
    spread: tuple[float, ...] = ()
    whole: Array | None = None
    learned: bool = False

    def known(self, value: Array) -> Known:
        """Return what is known of the variable, with a value."""
        return Known(**{one.name: getattr(self, one.name) for one in fields(Described)}, value=value)

    def alike(self, rng: np.random.Generator) -> Array:
        """Return numbers drawn from the spread of the value, in its shape and dtype."""
        borders = np.linspace(0.0, 1.0, len(self.spread))
        drawn = np.interp(rng.uniform(0.0, 1.0, self.shape), borders, self.spread)
        return np.asarray(drawn).astype(self.dtype)


class NotKept(Exception):  # noqa: N818 - an answer, not a fault
    """A value that models need is not in the recording; the message says which."""


def held_variables(model: keras.Model, drawn: Iterable[int]) -> tuple[Held, ...]:
    """Return what is kept of each of `variables_of` a built model.

    Args:
        model: the model.
        drawn: those of them that an initialiser of Keras's drew, of which no value is kept.
    """
    known = known_variables(model)
    statistics = learned_statistics(model)
    learned = [id(variable) in statistics for variable in variables_of(model)]
    return tuple(
        _held(one, whole=index not in set(drawn), learned=learned[index]) for index, one in enumerate(known)
    )


def _held(known: Known, *, whole: bool, learned: bool) -> Held:
    value = np.asarray(known.value)
    is_float = "float" in known.dtype
    spread = _spread(value) if is_float and known.constant is None else ()
    kept = value if (whole or not is_float) and value.size <= LARGEST_WHOLE else None
    described = {name: item for name, item in vars(known).items() if name != "value"}
    return Held(**described, digest=digest_of(value), spread=spread, whole=kept, learned=learned)


def _spread(value: Array) -> tuple[float, ...]:
    wide = np.asarray(value, np.float64).ravel()
    finite = wide[np.isfinite(wide)]
    if not finite.size:
        return (0.0, 1.0)
    return tuple(np.quantile(finite, np.linspace(0.0, 1.0, STEPS + 1)).astype(np.float32).tolist())


def digest_of(value: Array) -> str:
    """Return a digest of dtype and elements; axes of length 1 and how elements are shaped do not count."""
    array = np.ascontiguousarray(value)
    content = array.tobytes() if array.dtype.kind not in "OSU" else repr(array.tolist()).encode()
    return hashlib.sha256(f"{array.dtype.name} ".encode() + content).hexdigest()[:32]


def generic_weights(held: Sequence[Held], seed: int) -> list[Array]:
    """Return values for all variables, drawn alike wherever this is done: no weights need be kept.

    Floats are drawn from the spread of what the model started from; what started as one number (zero biases,
    the statistics of a fresh BatchNorm) is drawn around it, as layers commute under such numbers that
    otherwise do not. States of seed generators, integers and what a Normalization has learned stay as they
    are.

    Args:
        held: the variables.
        seed: equal seeds give equal values.

    Raises:
        NotKept: a variable of integers is too large to have been kept.
    """
    return [_generic(one, np.random.default_rng([seed, 8, place])) for place, one in enumerate(held)]


def _generic(held: Held, rng: np.random.Generator) -> Array:
    if "float" not in held.dtype:
        if held.whole is None:
            raise NotKept(f"{held.path} holds integers, too many to be recorded")
        return held.whole
    if held.learned and held.whole is not None:
        return held.whole
    level = held.constant
    if level is None and len(held.spread) == 0:  # no elements, or a single one that is no constant
        return np.zeros(held.shape).astype(held.dtype)
    if level is not None or len(set(held.spread)) == 1:
        level = held.spread[0] if level is None else level
        return np.asarray(about(level, held.shape, rng)).astype(held.dtype)
    return held.alike(rng)


def restored(held: Sequence[Held], candidates: Iterable[Array]) -> list[Array]:
    """Return values that equal one another, and those of the candidate, exactly where the recorded ones did.

    A value is the one kept whole, else the candidate's of the same digest; for others numbers are drawn that
    are spread as the recorded ones, the same for one digest.

    Args:
        held: the recorded variables.
        candidates: the values of the candidate's.
    """
    theirs: Mapping[str, Array] = {digest_of(value): value for value in candidates}
    return [_restored(one, theirs.get(one.digest)) for one in held]


def _restored(held: Held, same: Array | None) -> Array:
    if held.whole is not None:
        return held.whole
    if same is not None:
        return np.asarray(same).reshape(held.shape)
    if held.constant is not None:
        return np.full(held.shape, held.constant).astype(held.dtype)
    if len(held.spread) == 0:
        return np.zeros(held.shape).astype(held.dtype)
    return held.alike(np.random.default_rng([zlib.crc32(held.digest.encode())]))
