"""Comparing one result tensor of the twins: in float64 where an oracle exists, and as it is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks import tolerance
from pytest_kerasequiv.checks.numeric.differences import Difference, difference
from pytest_kerasequiv.running.dtypes import widened
from pytest_kerasequiv.running.running import Outcome, called
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Verdict

Array = NDArray[np.generic]


class Observed(Protocol):
    """What the observations of numeric checks have in common."""

    @property
    def dtype(self) -> str:
        """The coarsest dtype the model computes in."""

    @property
    def exact(self) -> Any:
        """The float64 observation, or ``None``."""

    @property
    def why_no_oracle(self) -> str | None:
        """Why there is none."""


@dataclass(frozen=True)
class Compared:
    """One tensor of the twins, compared.

    Attributes:
        what: which tensor, for readers.
        probe: index of the probe.
        stored: the comparison in the model's own dtype.
        exact: the comparison of the float64 twins; ``None`` without an oracle.
        amplified: S of `checks.tolerance`; ``None`` without an oracle.
        oracle: whether rounding explains how far float64 results are from those as computed.
    """

    what: str
    probe: int
    stored: Difference
    exact: Difference | None = None
    amplified: float | None = None
    oracle: bool = True

    @property
    def index(self) -> int:
        """Index of the probe."""
        return self.probe

    @property
    def decisive(self) -> Difference:
        """The comparison that fails, else the one with less headroom."""
        if self.exact is None or self.stored.split:
            return self.stored
        if self.exact.used < self.stored.used and not self.exact.split:
            return self.stored
        return self.exact

    @property
    def agrees(self) -> bool:
        """Whether both comparisons pass."""
        return self.stored.agrees and (self.exact is None or self.exact.agrees)

    @property
    def used(self) -> float:
        """Greatest share of what is allowed; infinite where NaN or infinity is on one side only."""
        split = self.stored.split or (self.exact is not None and self.exact.split)
        return float("inf") if split else self.decisive.used

    @property
    def reference(self) -> float:
        """The reference's value where the twins differ most."""
        return self.decisive.reference

    @property
    def candidate(self) -> float:
        """The candidate's value there."""
        return self.decisive.candidate

    def finding(
        self, check: str, where: tuple[str | None, str | None, str] = (None, None, "value")
    ) -> Finding:
        """Return the finding of a failure; ``where``: the layers, and the field that differs."""
        within = "computed in float64" if self.decisive is self.exact else "as computed"
        message = f"{self.what} differs ({within})\n{self.decisive}"
        values = self.reference, self.candidate
        return Finding.difference(check, where[2], message, layers=where[:2], values=values)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as JSON-able data."""
        return {
            "what": self.what,
            "amplification": self.amplified,
            "stored": self.stored.to_dict(),
            "float64": None if self.exact is None else self.exact.to_dict(),
        }


def compare_tensor(
    what: str,
    probe: int,
    arrays: Sequence[Array | None],
    dtype: str,
    precision: tolerance.Precision = tolerance.USUAL,
    *,
    noise: float = 0.0,
) -> Compared:
    """Compare one tensor.

    Args:
        what: which tensor, for readers.
        probe: index of the probe.
        arrays: reference and candidate as computed, reference and candidate in float64, the reference in
            float64 with perturbed weights and inputs; ``None`` for what there is not.
        dtype: the reference's compute dtype.
        precision: how closely it is to agree; whether float64 is used: see `is_oracle`.
        noise: what rounding alone leaves of a tensor that is truly zero, where only the reference has a
            float64 twin.
    """
    ours, theirs = widened(arrays[0]), widened(arrays[1])
    own = tolerance.given(precision.rtol, precision.atol)
    if ours.dtype.kind not in "fi" or (ours.dtype.kind == "i" and own is None):
        return Compared(what, probe, _identical(ours, theirs))
    if own is not None:
        return Compared(what, probe, difference(ours, theirs, own))
    if arrays[2] is None or not precision.oracle:
        nothing_yet = precision.cautious and not precision.oracle
        usual = tolerance.NONE if nothing_yet else tolerance.default(dtype, ours)
        return Compared(what, probe, difference(ours, theirs, usual), oracle=precision.oracle)
    exact = widened(arrays[2])
    moved = None if arrays[4] is None else widened(arrays[4])
    amplified = tolerance.amplification(ours, exact, moved, dtype)
    if arrays[3] is None:
        amplified = max(amplified, noise)
    stored = difference(ours, theirs, tolerance.derived(amplified, dtype, within=dtype))
    if arrays[3] is None:
        return Compared(what, probe, stored, None, amplified)
    like = {"sharp": precision.sharp, "cautious": precision.cautious}
    allowed = tolerance.derived(amplified, dtype, within="float64", **like)
    return Compared(what, probe, stored, difference(exact, widened(arrays[3]), allowed), amplified)


def oracle_notes(check: str, compared: Sequence[Compared]) -> list[Finding]:
    """Return a note that says where float64 results were not used, since rounding does not explain them."""
    doubted = [j for j in compared if not j.oracle]
    if not doubted:
        return []
    message = (
        f"float64 was not used for {doubted[0].what}"
        + (f" and {len(doubted) - 1} more" if doubted[1:] else "")
        + ": built in float64, a twin gives results that rounding does not explain, so it is no float64 twin "
        "(a branch on the dtype, a builder that makes another model each time); the default tolerance of the "
        "dtype was used"
    )
    return [Finding.note(check, "float64", message)]


def is_oracle(arrays: Sequence[Array | None], dtype: str) -> bool:
    """Tell whether rounding explains how far float64 results are from those as computed, on each side.

    Asked of what a forward pass returns; a gradient may jump at a kink. Where it is not so, there is no
    float64 twin on this probe: its code branches on the dtype, or its builder makes another model each time.

    Args:
        arrays: as `compare_tensor` takes them.
        dtype: the reference's compute dtype.
    """
    if arrays[0] is None or arrays[1] is None or arrays[2] is None:
        return True
    ours, theirs, exact = (widened(array) for array in arrays[:3])
    if ours.dtype.kind != "f" or exact.dtype.kind != "f":
        return True
    moved = None if arrays[4] is None else widened(arrays[4])
    conditioned = tolerance.conditioning(exact, moved, dtype)
    sides = [(ours, exact)] + ([] if arrays[3] is None else [(theirs, widened(arrays[3]))])
    return all(tolerance.explained(*one, conditioned, dtype) for one in sides)


def _identical(reference: Array, candidate: Array) -> Difference:
    """Compare integers, booleans and strings: they are the same or not."""
    if reference.dtype.kind not in "fiub":
        candidate = (reference != candidate).astype(np.int8)
        reference = np.zeros(reference.shape, np.int8)
    return difference(reference, candidate, tolerance.Tolerance(0.0, 0.0, "exact"))


def compare_masks(
    check: str, label: str, names: Sequence[str], reference: Outcome, candidate: Outcome | None
) -> list[Finding]:
    """Return a finding for every output whose mask differs; no mask equals one that keeps everything."""
    found = []
    masks = zip(names, reference.masks, candidate.masks if candidate else (), strict=False)
    for name, ours, theirs in masks:
        if ours is None and theirs is None:
            continue
        full = [m is None or bool(np.all(m)) for m in (ours, theirs)]
        same = all(full) or (ours is not None and theirs is not None and np.array_equal(ours, theirs))
        if not same:
            shown = [
                "none" if m is None else f"{int(np.sum(np.equal(m, 0)))} of {m.size} steps masked"
                for m in (ours, theirs)
            ]
            message = f"{called(name)} carries another mask on {label}: {shown[0]} against {shown[1]}"
            found.append(Finding.difference(check, "mask", message, values=(shown[0], shown[1])))
    return found


def tolerance_figures(
    reference: Observed, candidate: Observed, compared: Sequence[Compared]
) -> dict[str, Any]:
    """Return where the tolerance came from; ``only`` is the dtype where there are no numbers in float64."""
    origins = {j.stored.tolerance.origin for j in compared}
    if origins & {"given"}:
        return {"origin": "given", "why": "rtol or atol was given"}
    if "derived" in origins:
        return {"origin": "derived", "why": tolerance.DERIVATION, "safety": tolerance.SAFETY}
    why_none = reference.why_no_oracle or candidate.why_no_oracle
    rtol, atol = tolerance.DEFAULTS[reference.dtype]
    return {
        "origin": "default",
        "why": why_none or "nothing to compare in float64",
        "only": None if why_none is None else reference.dtype,
        "dtype": reference.dtype,
        "rtol": rtol,
        "atol": atol,
    }


def answered(
    check: str,
    figures: Mapping[str, Any],
    *,
    unsteady: Finding | None,
    found: Sequence[Finding],
    nothing: Finding | None,
    notes: Sequence[Finding],
) -> CheckResult:
    """Return the result of a numeric check.

    Args:
        check: its name.
        figures: the numbers behind it.
        unsteady: why numbers tell nothing, as a side does not repeat its own; then nothing is decided.
        found: what differs, causes first.
        nothing: why nothing could be compared.
        notes: what else is worth knowing.
    """
    if unsteady is not None:
        return CheckResult(check, Verdict.INCONCLUSIVE, None, (unsteady, *notes), figures)
    if found:
        return CheckResult(check, Verdict.DIFFERENT, Evidence.MEASURED, (*found, *notes), figures)
    if nothing is not None:
        return CheckResult(check, Verdict.INCONCLUSIVE, None, (nothing, *notes), figures)
    return CheckResult(check, Verdict.EQUIVALENT, Evidence.MEASURED, tuple(notes), figures)


def nothing_compared(
    check: str, compared: Sequence[Compared], message: str, error: str = ""
) -> Finding | None:
    """Return the finding that nothing could be compared; ``None`` where any number could."""
    if any(j.stored.elements > j.stored.nonfinite for j in compared):
        return None
    return Finding.difference(check, "value", message, values=(error or None, None))


def shown_headroom(compared: Sequence[Compared]) -> float | None:
    """Return how many times the greatest difference fits into what is allowed; ``None`` for no difference."""
    used = max((j.used for j in compared), default=0.0)
    return None if used == 0 else 1 / used
