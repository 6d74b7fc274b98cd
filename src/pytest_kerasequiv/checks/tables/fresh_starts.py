"""What two freshly built models begin with: constants must be equal, the others drawn alike.

The values that a builder loads, sets or computes do not move with the seed: they are constants, part of
the model. All others are drawn. Most variables hold what an initialiser of Keras's gave them, which tells;
the rest are told apart by a second build under another seed, made only where the values of a pair differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from pytest_kerasequiv.building.starts import Start, moved
from pytest_kerasequiv.checks.tables.drawing_laws import same_law
from pytest_kerasequiv.checks.tables.initial_values import (
    InitialValues,
    MappedPair,
    VariableFacts,
    WeightsObservation,
    finding,
    initialiser_findings,
    without_draws,
)
from pytest_kerasequiv.layers.plain_values import shown
from pytest_kerasequiv.verdict import Finding

Values = NDArray[np.generic]
SURE = 1e-9
"""How unlikely two samples must be to be of one distribution, to say that they are not."""

Severity = Literal["difference", "note"]


class Side:
    """One model's variables and where their values come from.

    Args:
        observation: the variables.
        starts: where the values of the first build come from.
        again: the values of a second build, under another seed; ``None`` where none was made.
    """

    def __init__(
        self, observation: WeightsObservation, starts: Sequence[Start], again: Sequence[Values] | None
    ) -> None:
        self.facts = observation.facts
        self.values = observation.values
        self.starts = starts
        self.built_again = again is not None
        self._moved = None if again is None else moved(self.values, again)
        self._again = self.values if again is None else again

    @classmethod
    def of(cls, observation: WeightsObservation, again: Sequence[Values] | None) -> Side | None:
        """Return one model's variables; ``None`` where nobody watched how they got their values."""
        return None if observation.starts is None else cls(observation, observation.starts, again)

    def again(self, index: int) -> Values:
        """Return the value in the second build; where none was made, that of the first."""
        return self._again[index]

    def explained(self, index: int) -> bool:
        """Whether an initialiser of Keras's gave the value, so that no second build is needed."""
        return explained(self.starts[index], self.facts[index])

    def known_constant(self, index: int) -> bool:
        """Whether a second build was made and has the same values."""
        return self._moved is not None and not self._moved[index].any()

    def moves(self, index: int) -> NDArray[np.bool_] | None:
        """Return which elements move with the seed; ``None`` where that cannot be told."""
        start, value = self.starts[index], self.values[index]
        if self.explained(index):
            return np.full(value.shape, start.origin == "drawn")
        return None if self._moved is None else self._moved[index]


def explained(start: Start, facts: VariableFacts) -> bool:
    """Tell whether an initialiser of Keras's gave a variable its value, so that one build tells its start.

    Or a function of Keras's made it of initialisers without draws: the bias of an LSTM.
    """
    return start.origin != "other" or (start.untouched and without_draws(facts))


class FreshStarts:
    """Compares the starts of mapped variables of two builders.

    Args:
        reference: the reference's variables.
        candidate: the candidate's.
        pairs: the mapped variables that are no states of seed generators.
        constants: what it is that two constants differ.

    Attributes:
        undecided: whether something could not be told.
        untold: how many pairs only a second build tells, which was not made.
    """

    def __init__(
        self, reference: Side, candidate: Side, pairs: Sequence[MappedPair], *, constants: Severity
    ) -> None:
        self.undecided = False
        self.untold = 0
        self._reference = reference
        self._candidate = candidate
        self._pairs = pairs
        self._constants = constants

    def findings(self, values: InitialValues) -> Iterator[Finding]:
        """Return what differs; pairs that are drawn alike but from other seeds make one note.

        Args:
            values: the comparison of the values, in words.
        """
        apart = set(values.unequal)
        redrawn = []
        for pair in self._pairs:
            if pair not in apart and self._one_kind(pair):
                continue
            found = list(self._compare(pair, values))
            yield from found
            if not found and pair in apart:
                redrawn.append(pair)
        if redrawn:
            yield self._redrawn(redrawn, values)

    def _one_kind(self, pair: MappedPair) -> bool:
        """Whether equal values need no further look: both drawn, both fixed, or both from other code."""
        return self._reference.explained(pair[0]) == self._candidate.explained(pair[1])

    def _compare(self, pair: MappedPair, values: InitialValues) -> Iterator[Finding]:
        mine, its = self._reference.moves(pair[0]), self._candidate.moves(pair[1])
        if self._reference.explained(pair[0]) and self._candidate.explained(pair[1]):
            yield from self._initialised(pair, values)
        elif mine is None or its is None:
            self.untold += any(
                not side.explained(index) and not side.built_again
                for side, index in zip(self._sides, pair, strict=True)
            )
            yield self._undecided(
                pair, "another build has other variables, so whether it is drawn is not known"
            )
        elif not mine.any() and not its.any():
            yield from self._constant(pair, values)
        elif not mine.any() or not its.any():
            yield self._one_constant(pair, bool(its.any()))
        elif not np.array_equal(mine.reshape(its.shape), its):
            yield self._partly_set(pair, mine, its)
        elif pair in values.unequal:
            yield from self._both_move(pair, mine, values)

    def _initialised(self, pair: MappedPair, values: InitialValues) -> Iterator[Finding]:
        """Both hold what Keras's own initialisers gave them: the settings of these decide."""
        ours, theirs = self._starts(pair)
        named = list(initialiser_findings(self._facts(pair)))
        random = [start.origin in {"drawn", "seeded"} for start in (ours, theirs)]
        if named:
            yield from named
        elif not any(random):
            yield from self._constant(pair, values)
        elif not all(random) or not self._one_law(pair):
            mine, its = ("a constant" if s.settings is None else shown(s.settings) for s in (ours, theirs))
            message = f"is initialised differently: by {mine} in the reference, by {its} in the candidate"
            yield self._say(pair, message, (mine, its))

    def _constant(self, pair: MappedPair, values: InitialValues) -> Iterator[Finding]:
        if not _rounded_alike(self._reference.values[pair[0]], self._candidate.values[pair[1]]):
            why = "; no seed moves them, so they are part of the model"
            yield values.differ(pair, why, self._constants)

    def _one_constant(self, pair: MappedPair, reference_is: bool) -> Finding:
        index, side = (pair[0], self._reference) if reference_is else (pair[1], self._candidate)
        sides = ("the reference", "the candidate") if reference_is else ("the candidate", "the reference")
        value = side.values[index]
        first = f" (they begin with {value.flat[0]:.6g})" if value.size else ""
        message = (
            f"has values in {sides[0]} that no seed moves{first}: its builder loads or sets them; in "
            f"{sides[1]} they are drawn anew under each seed"
        )
        words = ("set by the builder", "drawn") if reference_is else ("drawn", "set by the builder")
        return self._say(pair, message, words, self._constants)

    def _partly_set(self, pair: MappedPair, mine: NDArray[np.bool_], its: NDArray[np.bool_]) -> Finding:
        counts = int(np.count_nonzero(~mine)), int(np.count_nonzero(~its))
        message = (
            f"is set in part: {counts[0]} of its {mine.size} values do not move with the seed in the "
            f"reference, {counts[1]} in the candidate"
            + ("" if counts[0] != counts[1] else ", at other places")
        )
        return self._say(pair, message, counts, self._constants)

    def _both_move(
        self, pair: MappedPair, moving: NDArray[np.bool_], values: InitialValues
    ) -> Iterator[Finding]:
        ours, theirs = self._reference.values[pair[0]], self._candidate.values[pair[1]]
        theirs = theirs.reshape(ours.shape)
        if not _rounded_alike(ours[~moving], theirs[~moving]):
            yield values.differ(pair, "; those that no seed moves are part of the model", self._constants)
            return
        if all(start.untouched for start in self._starts(pair)):
            yield from self._other_code(pair, values)
            return
        mine, its = (_change(side, i, moving) for side, i in zip(self._sides, pair, strict=True))
        known = all(start.settings is not None for start in self._starts(pair))
        if mine is not None and its is not None and known and self._one_law(pair):
            if not np.allclose(mine, its, rtol=1e-4, atol=1e-6):
                texts = _in_words(mine), _in_words(its)
                message = (
                    f"is changed after x was drawn: to {texts[0]} in the reference, to {texts[1]} in the "
                    "candidate"
                )
                yield self._say(pair, message, texts, self._constants)
        elif _other_law(self._drawn_values(pair, moving)):
            yield values.differ(pair, "; both are drawn, but not alike", self._constants)
        else:
            yield self._undecided(pair, "a builder changes what was drawn, so both may start alike or not")

    def _drawn_values(self, pair: MappedPair, moving: NDArray[np.bool_]) -> list[Values]:
        """Return what both sides have drawn, in both builds."""
        both = []
        for side, index in zip(self._sides, pair, strict=True):
            builds = (side.values[index], side.again(index))
            both.append(np.concatenate([value.reshape(moving.shape)[moving] for value in builds]))
        return both

    def _other_code(self, pair: MappedPair, values: InitialValues) -> Iterator[Finding]:
        """Initialisers and layers of the user's own, untouched since: the same code draws alike."""
        named = list(initialiser_findings(self._facts(pair)))
        if named:
            yield from named
        elif not values.same_maker(pair):
            yield self._undecided(pair, "other code draws them, so both may be drawn alike or not")

    def _redrawn(self, pairs: Sequence[MappedPair], values: InitialValues) -> Finding:
        seeded = [p for p in pairs if any(start.origin == "seeded" for start in self._starts(p))]
        if not seeded:
            return values.drawn_otherwise(pairs)
        message = (
            "is drawn by initialisers that agree but for a seed of their own "
            f"({self._seed(seeded[0], 0)} in the reference, {self._seed(seeded[0], 1)} in the candidate)"
            + (f", and so are {len(seeded) - 1} more" if len(seeded) > 1 else "")
        )
        return self._say(seeded[0], message, (None, None), "note")

    def _seed(self, pair: MappedPair, side: int) -> str:
        start = self._starts(pair)[side]
        return f"seed {start.seed}" if start.origin == "seeded" else "none"

    @property
    def _sides(self) -> tuple[Side, Side]:
        return self._reference, self._candidate

    def _starts(self, pair: MappedPair) -> tuple[Start, Start]:
        return self._reference.starts[pair[0]], self._candidate.starts[pair[1]]

    def _one_law(self, pair: MappedPair) -> bool:
        """Whether the initialisers of Keras's, as they were when they drew, draw alike for these shapes."""
        ours, theirs = self._starts(pair)
        facts = self._facts(pair)
        return same_law(ours.settings, theirs.settings, (facts[0].shape, facts[1].shape))

    def _facts(self, pair: MappedPair) -> tuple[Any, Any]:
        return self._reference.facts[pair[0]], self._candidate.facts[pair[1]]

    def _undecided(self, pair: MappedPair, why: str) -> Finding:
        self.undecided = True
        return self._say(pair, f"has other values, and {why}", (None, None), "note")

    def _say(
        self, pair: MappedPair, message: str, values: tuple[Any, Any], severity: Severity = "difference"
    ) -> Finding:
        return finding(self._facts(pair), None, values, f" {message}", severity)


def _change(side: Side, index: int, moving: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Return scale and shift by which a value follows from what was drawn; ``None`` if it does not.

    A value that was not changed has 1 and 0.
    """
    start = side.starts[index]
    if start.base is None:
        return (1.0, 0.0) if start.untouched else None
    drawn = np.asarray(start.base, float).reshape(moving.shape)[moving]
    value = np.asarray(side.values[index], float).reshape(moving.shape)[moving]
    if drawn.size < 3:
        return None
    (scale, shift), *_ = np.linalg.lstsq(np.stack([drawn, np.ones_like(drawn)], axis=1), value, rcond=None)
    exact = np.allclose(scale * drawn + shift, value, rtol=1e-5, atol=1e-6 * float(np.max(np.abs(value))))
    negligible = abs(shift) < 1e-6 * float(np.max(np.abs(value)))
    return (float(scale), 0.0 if negligible else float(shift)) if exact else None


def _in_words(change: tuple[float, float]) -> str:
    scale, shift = change
    return f"{scale:.6g} x" + (f" + {shift:.6g}" if shift else "")


def _other_law(drawn: Sequence[Values]) -> bool:
    """Whether two samples hardly come from one distribution (Kolmogorov and Smirnov's test)."""
    ours, theirs = (np.asarray(sample, float) for sample in drawn)
    return bool(ks_2samp(ours, theirs).pvalue < SURE)


def _rounded_alike(ours: Values, theirs: Values) -> bool:
    """Whether two constants differ by rounding at most: two units in the last place of the coarser dtype.

    Values near zero are held to the unit of the usual ones, if these are below 1: what is left where terms
    cancel, as in tables of sines.
    """
    theirs = theirs.reshape(ours.shape)
    if ours.dtype.kind not in "f" or theirs.dtype.kind not in "f":
        return bool(np.array_equal(ours, theirs))
    unit = max(float(np.spacing(each.dtype.type(1))) for each in (ours, theirs))
    one, other = np.asarray(ours, float), np.asarray(theirs, float)
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(one), np.abs(other))
        usual = min(float(np.median(size)), 1.0) if size.size else 0.0
        near = np.abs(one - other) <= 2 * unit * np.maximum(size, usual)
    return bool(np.all(near | (one == other) | (np.isnan(one) & np.isnan(other))))
