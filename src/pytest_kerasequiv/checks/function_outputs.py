"""A candidate that is a function of inputs: what it returns is compared, and nothing else of it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.functions import Function
from pytest_kerasequiv.checks import tolerance
from pytest_kerasequiv.checks.numeric.differences import difference
from pytest_kerasequiv.checks.numeric.inference import InferenceObservation
from pytest_kerasequiv.checks.numeric.observing import REPEATED, alike
from pytest_kerasequiv.checks.numeric.tensor_comparison import (
    Compared,
    answered,
    compare_tensor,
    is_oracle,
    nothing_compared,
    oracle_notes,
    shown_headroom,
)
from pytest_kerasequiv.checks.outputs import CHECK, observe, plan
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError, said
from pytest_kerasequiv.running.dtypes import UNIT_ROUNDOFF, widened
from pytest_kerasequiv.running.input_layout import InputLayout, input_layout
from pytest_kerasequiv.running.running import called
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict

Array = NDArray[Any]

NAME = CHECK.name

WHY = "the candidate is a function of inputs, of which nothing but its outputs can be seen"


class FunctionPair(Pair):
    """A live reference, and a function of inputs."""

    def build(self, *, traced: bool = True) -> None:  # noqa: ARG002 - there is one side to build
        """Build the reference."""
        _ = self.reference

    @property
    def function(self) -> Function:
        """The candidate."""
        function = self.twins.function
        assert function is not None
        return function


@dataclass(frozen=True)
class Returned:
    """What the function returned for one probe: its outputs, or the error it raised."""

    outputs: tuple[Array, ...] = ()
    error: str = ""


def left_out(name: str) -> str:
    """Return why a check can tell nothing of a function; empty where it can."""
    return "" if name == NAME else WHY


def answer(name: str, pair: FunctionPair, given: Mapping[str, Any]) -> CheckResult:
    """Return what a check decides.

    Raises:
        InputError: the function takes none of the inputs, or the user's inputs do not fit the reference.
    """
    if name != NAME:
        finding = Finding.difference(name, "candidate", f"not compared: {WHY}")
        return CheckResult(name, Verdict.INCONCLUSIVE, None, (finding,))
    twin, options = pair.reference_twin, {key: given.get(key) for key in ("inputs", "rtol", "atol")}
    asked = next(plan(twin, None, **options, seed=given["seed"]))
    reference = observe(twin, asked).inference
    assert reference is not None
    if reference.why_none:
        finding = Finding.difference(NAME, "inputs", f"not compared: {reference.why_none}")
        return CheckResult(NAME, Verdict.INCONCLUSIVE, None, (finding,))
    layout = input_layout(pair.reference)
    batches = [_packed(layout, probe.inputs) for probe in asked.probes]
    returned = [_returned(pair.function, batch) for batch in batches]
    _refuse_no_function(pair, reference, returned)
    steady = _repeats(pair.function, batches, returned)
    precision = given.get("rtol"), given.get("atol")
    return _Comparison(pair, reference, returned, precision, steady=steady).result()


def _packed(layout: InputLayout, inputs: Sequence[Array]) -> Any:
    """Return a batch as the reference takes it, in arrays of its dtypes."""
    if not layout.known:
        return inputs[0].copy() if len(inputs) == 1 else [leaf.copy() for leaf in inputs]
    both = zip(inputs, layout.specs, strict=True)
    return layout.pack([leaf.astype(spec.dtype) if spec.dtype != "string" else leaf for leaf, spec in both])


def _returned(function: Function, batch: Any) -> Returned:
    given = keras.tree.map_structure(np.array, batch)  # it may write into what it is given
    try:
        outputs = function.call(given)
        refuse_model(outputs, function)
        return Returned(tuple(_arrays(outputs)))
    except InputError:
        raise
    except Exception as error:
        return Returned(error=f"{type(error).__name__}: {said(error)}")


def refuse_model(outputs: Any, function: Function) -> None:
    """Refuse a builder that was taken for a function of inputs.

    Raises:
        InputError: it returned a layer or model.
    """
    if isinstance(outputs, keras.Layer):
        raise InputError(
            f"candidate {function.label!r} needs one argument, so it was called with inputs, and returned a "
            "model; a builder is called without arguments: pass functools.partial(...) with its argument"
        )


def _arrays(outputs: Any) -> list[Array]:
    """Return what a function returned as arrays; nested lists of numbers are one."""
    if isinstance(outputs, Mapping):
        return [array for key in sorted(outputs) for array in _arrays(outputs[key])]
    if isinstance(outputs, list | tuple) and any(hasattr(one, "shape") for one in outputs):
        return [array for one in outputs for array in _arrays(one)]
    return [np.asarray(keras.ops.convert_to_numpy(outputs) if keras.ops.is_tensor(outputs) else outputs)]


def _refuse_no_function(
    pair: FunctionPair, reference: InferenceObservation, returned: Sequence[Returned]
) -> None:
    """Refuse a function that takes nothing the reference takes: the call is wrong, not the model."""
    both = zip(reference.computed, returned, strict=True)
    taken = [theirs for ours, theirs in both if ours.outcome is not None]
    if taken and all(theirs.error for theirs in taken):
        raise InputError(
            f"candidate {pair.function.label!r} needs one argument, so it was called with inputs, and raised "
            f"{taken[0].error} for every batch; let it take what the reference takes "
            f"({', '.join(map(str, input_layout(pair.reference).specs)) or 'its inputs'}) as NumPy arrays, "
            "or, if it is a builder, pass functools.partial(...) with its argument"
        )


def _repeats(function: Function, batches: Sequence[Any], returned: Sequence[Returned]) -> bool:
    for batch, first in zip(batches, returned, strict=True):
        if not first.error:
            return alike(first.outputs, _returned(function, batch).outputs, REPEATED)
    return True


class _Comparison:
    """What reference and function returned for the same probes."""

    def __init__(
        self,
        pair: FunctionPair,
        reference: InferenceObservation,
        returned: Sequence[Returned],
        given: tuple[float | None, float | None],
        *,
        steady: bool,
    ) -> None:
        self._pair = pair
        self._reference = reference
        self._returned = returned
        self._given = tolerance.given(*given)
        self._steady = steady

    def result(self) -> CheckResult:
        """Decide."""
        compared, found, refused = self._compared()
        worst = max(compared, key=lambda one: one.used, default=None)
        if worst is not None and not worst.agrees:
            found += [*self._weights_of_builder(), worst.finding(NAME)]
        found += self._state_problems()
        unsteady = self._unsteady()
        if unsteady is None and not found and refused:
            unsteady = refused[0]
        return answered(
            NAME,
            self._figures(compared),
            unsteady=unsteady,
            found=found,
            nothing=nothing_compared(NAME, compared, "nothing could be compared: no output is finite"),
            notes=[*self._notes(), *oracle_notes(NAME, compared)],
        )

    def _compared(self) -> tuple[list[Compared], list[Finding], list[Finding]]:
        """Return what was compared, what differs beside values, and which probes one side alone refuses."""
        compared: list[Compared] = []
        found: list[Finding] = []
        refused: list[Finding] = []
        for index, label in enumerate(self._reference.probes):
            ours, theirs = self._reference.computed[index], self._returned[index]
            if ours.outcome is None or theirs.error:
                refused += self._refusal(label, ours.error, theirs.error)
                continue
            problem = self._shape_problem(label, ours.outcome.outputs, theirs.outputs)
            if problem is not None:
                found.append(problem)
                return compared, found, refused
            compared += [self._tensor(index, k, array) for k, array in enumerate(theirs.outputs)]
        return compared, found, refused

    def _refusal(self, label: str, ours: str | None, theirs: str) -> list[Finding]:
        if ours is not None and theirs:
            return []
        side, error = ("function", theirs) if theirs else ("reference", ours)
        remedy = "; let the function take every size of batch that the reference takes" if theirs else ""
        message = f"only the {side} refuses the probe {label}: {error}{remedy}"
        return [Finding.difference(NAME, "error", message, values=(ours, theirs or None))]

    def _shape_problem(self, label: str, ours: Sequence[Array], theirs: Sequence[Array]) -> Finding | None:
        shapes = [[tuple(array.shape) for array in side] for side in (ours, theirs)]
        if shapes[0] != shapes[1]:
            message = f"the outputs have other shapes on the probe {label}: {shapes[0]} against {shapes[1]}"
            return Finding.difference(NAME, "shape", message, values=(shapes[0], shapes[1]))
        kinds = [[str(array.dtype) for array in side] for side in (ours, theirs)]
        for name, own, other in zip(self._reference.names, *kinds, strict=True):
            if ("float" in own) != ("float" in other):
                message = (
                    f"{called(name)} is {own} in the reference and {other} from the function: a quantised "
                    "model returns steps of a scale, which are to be turned into numbers in the function"
                )
                return Finding.difference(NAME, "dtype", message, values=(own, other))
        return None

    def _tensor(self, index: int, output: int, theirs: Array) -> Compared:
        reference = self._reference
        runs = reference.computed, reference.exact, reference.perturbed
        outcomes = [None if every is None else every[index].outcome for every in runs]
        views = [None if one is None else one.outputs[output] for one in outcomes]
        what = f"{called(reference.names[output])} on {reference.probes[index]}"
        ours, exact, moved = (None if view is None else widened(view) for view in views)
        if exact is None or ours is None or ours.dtype.kind != "f" or self._given is not None:
            return self._plainly(what, index, views[0], theirs)
        # The function's own float64 result is not known: the reference's rounding alone is looked at.
        if not is_oracle((ours, ours, exact, exact, moved), reference.dtype):
            return self._plainly(what, index, views[0], theirs, oracle=False)
        amplified = tolerance.amplification(ours, exact, moved, reference.dtype)
        allowed = tolerance.derived(amplified, reference.dtype, within=self._dtype, sharp=True)
        return Compared(what, index, difference(ours, widened(theirs), allowed), None, amplified)

    def _plainly(self, what: str, index: int, ours: Any, theirs: Array, *, oracle: bool = True) -> Compared:
        given = self._given
        precision = (
            tolerance.USUAL if given is None else tolerance.Precision(rtol=given.rtol, atol=given.atol)
        )
        found = compare_tensor(what, index, (ours, theirs, None, None, None), self._dtype, precision)
        return Compared(what, index, found.stored, oracle=oracle)

    @cached_property
    def _dtype(self) -> str:
        """The coarser of the dtypes that both compute in."""
        returned = [array for one in self._returned for array in one.outputs]
        own = self._pair.function.dtype
        theirs = [own] if own is not None else [str(array.dtype) for array in returned]
        known = {self._reference.dtype, *(dtype for dtype in theirs if dtype in UNIT_ROUNDOFF)}
        return max(known, key=UNIT_ROUNDOFF.__getitem__)

    def _figures(self, compared: Sequence[Compared]) -> dict[str, Any]:
        origins = {one.stored.tolerance.origin for one in compared}
        origin = next((one for one in ("given", "derived", "default") if one in origins), "default")
        why = {"given": "rtol or atol was given", "derived": tolerance.DERIVATION}.get(
            origin, self._reference.why_no_oracle or "nothing to compare in float64"
        )
        return {
            "probes": len(self._reference.probes),
            "dtype": self._dtype,
            "tolerance": {"origin": origin, "why": why},
            "outputs": [one.to_dict() for one in compared],
            "headroom": shown_headroom(compared),
        }

    def _state_problems(self) -> list[Finding]:
        carries = any(run.second is not None for run in self._reference.computed)
        if not carries or not self._steady:
            return []
        message = "only the reference carries state from one call to the next"
        return [Finding.difference(NAME, "stateful", message, values=(True, False))]

    def _unsteady(self) -> Finding | None:
        """Return why numbers tell nothing: a side that does not repeat its own; ``None`` where both do."""
        draws = not self._reference.repeatable or bool(self._reference.stochastic)
        if self._steady and not draws:
            return None
        who = "reference" if draws else "function"
        message = f"the {who} returns other outputs when it is called again with the same inputs"
        return Finding.difference(NAME, "stochastic", f"{message}, so nothing can be compared")

    def _weights_of_builder(self) -> list[Finding]:
        """Say where the reference has its weights from: a builder's are rarely those of the function."""
        if not self._pair.twins.reference_source.is_builder:
            return []
        message = (
            "the reference is made by a builder, so its weights are those of a fresh model, and the "
            "function has its own; pass the model, or its file, that the function was made of"
        )
        return [Finding.difference(NAME, "weights", message)]

    def _notes(self) -> list[Finding]:
        if self._dtype == self._reference.dtype:
            return []
        message = f"what rounding explains is that of {self._dtype}, in which the function computes"
        return [Finding.note(NAME, "dtype", message, values=(self._reference.dtype, self._dtype))]
