"""How far two numbers may be apart: derived from the model's own rounding, given by the user, or a default.

The derivation. Let ``r32`` and ``r64`` be the reference's results in float32 and in float64 under the same
weights and inputs, and ``p64`` its float64 result after every weight, input and constant of its code was
changed by a random relative amount of at most ``u32 = 2**-24``. Then

    P = max( max|p64 - r64|, u32 * max|r64| )          S = max( max|r32 - r64|, P )

measure how much this model amplifies one float32 rounding: P is what any backward stable program for the same
function does, S also counts what this one did. Another program for the same function errs by a small multiple
of S in float32. What it does in float64 depends on how the two are alike:

- Programs of one skeleton (the same operations, other constants or attributes) do the same roundings, which
  scale with the unit roundoff: float64 may differ by the same multiple of ``S * u64 / u32 = S * 2**-29``. An
  epsilon of 1.0001e-3 for 1e-3 shows.
- Rewritten programs need not hold the same constants to more than float32's digits (1 / 127.5 rounded, then
  multiplied, against a division; a table of float32): float64, which adds no noise of its own, may differ by
  a smaller multiple of S itself, for a narrower dtype of S brought to float32 (``S * u32 / u16``).

So, per result tensor and probe,

    allowed in float32:  SAFETY * S      in float64:  SAFETY * S * 2**-29, or REWRITTEN * S

Nothing is tuned to a model. SAFETY and REWRITTEN are constants, chosen by experiment
(``benchmarks/numeric.py``): over the benign rewrites, ResNet50, a 12-block transformer and a 200-step LSTM
the largest multiple of S seen is below 4, and the smallest fault tried (one weight of ResNet50 changed by
1e-6 of itself) stands at 17000. Where the model computes in another dtype, ``u32`` is its roundoff.

The perturbed run is made only where it is needed. Without it P is the least that it can be. Where float64
results of all tensors differ by no more than CAUTION of what that allows, and the float32 results of both
sides are within EXPLAINED * u32 of them, even the default tolerance would let them pass, whatever a perturbed
run might show: it could only have raised what is allowed, or have called for the default.

The float64 result is an oracle only where it is that of the same function: where ``|r32 - r64|``, or the same
of the candidate, exceeds EXPLAINED * P, rounding does not explain it (a branch on the dtype, a builder that
alternates), and nothing is derived from it. The largest multiple of P seen is 15.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv import arguments
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF

Array = NDArray[np.generic]


SAFETY = 64.0
"""Multiple of the measured amplification that another program for the same function may err by."""

REWRITTEN = 16.0
"""The same for float64 results of rewritten programs, which differ by the rounding of constants alone."""

CAUTION = 2.0**-7
"""Share of what is allowed in float64 that rewritten programs may use where no perturbed run was made."""

EXPLAINED = 64.0
"""Multiple of what one roundoff of weights, inputs and constants does that rounding itself may do."""

TOLD = 2.0**-6
"""Largest share of a result that one roundoff may move; beyond it nothing is derived."""

DEFAULTS = {
    "float16": (1e-3, 1e-5),
    "bfloat16": (1.6e-2, 1e-5),
    "float32": (1.3e-6, 1e-5),
    "float64": (1e-7, 1e-7),
}
"""(rtol, atol) of ``torch.testing.assert_close``, https://docs.pytorch.org/docs/stable/testing.html."""

DERIVATION = (
    f"allowed = {SAFETY:g} * S in the model's dtype; in float64 {SAFETY:g} * S * u64/u where the programs "
    f"have one skeleton, else {REWRITTEN:g} * S; per tensor and probe; "
    "S = max(|reference - its float64 result|, "
    "|change of its float64 result when weights, inputs and constants are perturbed by one roundoff u|, "
    "u * |result|), each the largest over the tensor"
)
"""The derivation in one sentence, for reports."""


@dataclass(frozen=True)
class Precision:
    """How closely the numbers of one pair are to agree.

    Attributes:
        sharp: whether the programs have one skeleton.
        rtol: the user's relative tolerance; by default it is derived.
        atol: the user's absolute tolerance, likewise.
        oracle: whether the float64 results are used.
        cautious: whether no perturbed run was made, so that only what is beyond doubt agrees.
    """

    sharp: bool = False
    rtol: float | None = None
    atol: float | None = None
    oracle: bool = True
    cautious: bool = False


USUAL = Precision()
"""That of two rewritten programs, where the user gives no tolerance."""


@dataclass(frozen=True)
class Tolerance:
    """``|candidate - reference| <= atol + rtol * |reference|``, element by element.

    Attributes:
        rtol: relative part.
        atol: absolute part.
        origin: ``"derived"``, ``"given"`` or ``"default"``.
    """

    rtol: float
    atol: float
    origin: str

    def allowed(self, reference: Array) -> Array:
        """Return the allowed absolute difference for each element."""
        finite = np.where(np.isfinite(reference), np.abs(reference), 0.0)
        allowed: Array = self.atol + self.rtol * finite
        return allowed

    def __str__(self) -> str:
        return f"rtol={self.rtol:.3g}, atol={self.atol:.3g} ({self.origin})"


NONE = Tolerance(0.0, 0.0, "default")
"""Nothing is allowed."""


def given(rtol: float | None, atol: float | None) -> Tolerance | None:
    """Return the user's tolerance; ``None`` where neither part was given. The part left away is 0.

    Raises:
        InputError: a part is no finite number of at least 0.
    """
    rtol, atol = arguments.tolerances(rtol, atol)
    if rtol is None and atol is None:
        return None
    return Tolerance(rtol or 0.0, atol or 0.0, "given")


def default(dtype: str, reference: Array) -> Tolerance:
    """Return the default for a dtype; ``atol``, made for numbers near 1, grows with results larger than 1."""
    rtol, atol = DEFAULTS[dtype]
    return Tolerance(rtol, atol * max(1.0, largest(reference)), "default")


def conditioning(exact: Any, perturbed: Any, dtype: str) -> float:
    """Return P of the module's derivation.

    Args:
        exact: the reference's result in float64.
        perturbed: its float64 result under perturbed weights, inputs and constants; ``None`` where it was not
            computed.
        dtype: the model's dtype.
    """
    changes = [UNIT_ROUNDOFF[dtype] * largest(exact)]
    if perturbed is not None and perturbed.shape == exact.shape:
        changes.append(_apart(perturbed, exact))
    return max(changes)


def amplification(computed: Any, exact: Any, perturbed: Any, dtype: str) -> float:
    """Return S of the module's derivation; ``computed`` is the reference's result in ``dtype``."""
    return max(_apart(computed, exact), conditioning(exact, perturbed, dtype))


def _apart(one: Any, other: Any) -> float:
    """Return the largest difference; what is infinite on both sides has none."""
    with np.errstate(invalid="ignore"):
        return largest(one - other)


def explained(computed: Any, exact: Any, conditioned: float, dtype: str) -> bool:
    """Tell whether rounding explains how far a result is from its float64 result; ``conditioned`` is P.

    Where P itself is a large part of the result, it tells of no rounding (a model that draws other random
    numbers each time), and explains nothing. A narrower dtype may overflow where float64 does not.
    """
    if conditioned > max(TOLD, EXPLAINED * UNIT_ROUNDOFF[dtype]) * largest(exact):
        return False
    if computed.shape != exact.shape or bool(np.any(np.isfinite(computed) & ~np.isfinite(exact))):
        return False
    return _apart(computed, exact) <= EXPLAINED * conditioned


def derived(
    amplified: float, dtype: str, *, within: str, sharp: bool = True, cautious: bool = False
) -> Tolerance:
    """Return the tolerance that follows from S for results of a computation in the dtype ``within``.

    Args:
        amplified: S, measured in ``dtype``.
        dtype: the model's dtype.
        within: the dtype of the results to compare.
        sharp: whether both programs have one skeleton, so that wider results agree to more digits.
        cautious: whether S is the least that it can be, as nothing was perturbed.
    """
    smallest = 1e-290 if within == "float64" else 1e-36  # flushed to zero by one side or other
    if within != dtype and not sharp:
        roundings = min(1.0, UNIT_ROUNDOFF["float32"] / UNIT_ROUNDOFF[dtype])
        share = CAUTION if cautious else 1.0
        return Tolerance(0.0, share * REWRITTEN * amplified * roundings + smallest, "derived")
    scale = UNIT_ROUNDOFF[within] / UNIT_ROUNDOFF[dtype]
    return Tolerance(0.0, SAFETY * amplified * scale + smallest, "derived")


def largest(values: Any) -> float:
    """Return the largest finite magnitude; 0 where there is none."""
    magnitudes = np.abs(np.asarray(values, dtype=np.float64))
    finite = magnitudes[np.isfinite(magnitudes)]
    return float(finite.max()) if finite.size else 0.0
