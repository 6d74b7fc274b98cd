"""What the numeric observations of a model have in common: its runs as built, in float64, and perturbed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.views import Label, TwinView
from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.running.float64 import Float64Unavailable
from pytest_kerasequiv.running.perturbing import perturbed_inputs
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.surface.probes import Probe
from pytest_kerasequiv.verdict import Finding

Array = NDArray[np.generic]

REPEATS = 3
"""How often a model that may draw outside Keras's generators is run again."""

REPEATED = 1e-6
"""How far results of one program may be apart, relative to the largest: threads add up in any order."""

T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True, kw_only=True)
class Observation(Generic[T]):
    """What one model did on the probes of a plan, as plain data.

    Attributes:
        probes: what each probe is called in messages.
        dtype: the coarsest float dtype the model computes in.
        variables: label of each variable.
        settings: its compile settings, see `compiled.in_force.settings_of`.
        computed: its results as built.
        exact: those of its float64 twin; ``None`` where there is none, ``why_no_oracle`` says why.
        perturbed: those of the float64 twin under weights and inputs perturbed by one roundoff.
        repeatable: whether it gave the same results again from the same state, see `repeats`.
        why_none: why it was not run at all; empty where it was.
    """

    probes: tuple[str, ...]
    dtype: str
    variables: tuple[Label, ...]
    computed: T
    settings: Mapping[str, Any] | None = None
    exact: T | None = None
    perturbed: T | None = None
    why_no_oracle: str | None = None
    repeatable: bool = True
    why_none: str = ""

    @property
    def unperturbed(self) -> bool:
        """Whether it was run in float64, but not, or only briefly, under perturbed weights and inputs."""
        return self.exact is not None and self.perturbed is None


class Views(NamedTuple, Generic[T]):
    """One thing as both twins have it, as both have it in float64, and as the perturbed reference has it."""

    reference: T
    candidate: T
    exact_reference: T | None
    exact_candidate: T | None
    perturbed: T | None

    @classmethod
    def of(cls, reference: Observation[T], candidate: Observation[T]) -> Views[T]:
        """Return the results of two observations."""
        exact = reference.exact, candidate.exact
        return cls(reference.computed, candidate.computed, *exact, reference.perturbed)

    def map(self, ours: Callable[[T], U], theirs: Callable[[T], U] | None = None) -> Views[U]:
        """Return what a function makes of each; ``theirs``, where given, of the candidate's."""
        functions = (ours, theirs or ours, ours, theirs or ours, ours)
        made = [None if x is None else function(x) for function, x in zip(functions, self, strict=True)]
        return Views(*made)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Start:
    """What runs begin with: for each probe the values, and the batch.

    ``moved``: dtype and seed, where values and constants are changed by up to one roundoff of that dtype.
    """

    values: Callable[[Probe], Sequence[Array]]
    batches: Sequence[Sequence[Array]]
    moved: tuple[str, int] | None = None

    def under(self, runner: Runner, probe: Probe) -> Runner:
        """Return a runner of the same model under the values of a probe; changed ones are made now."""
        values = self.values(probe)
        return runner.under(values) if self.moved is None else runner.perturbed(values, *self.moved)


def observed(
    view: TwinView, plan: Plan, run: Callable[[Runner, Sequence[Start]], Sequence[T]]
) -> dict[str, Any]:
    """Run one model as built, and its float64 twin; return the fields of an `Observation`.

    What the same probes were run for last is not run again, so that a plan may grow.

    Args:
        view: the model.
        plan: what it is run on.
        run: returns the results of a runner from each of several starts.
    """
    start = Start(view.values_for, [probe.inputs for probe in plan.probes])
    known = view.observed(plan.probes)
    if "computed" not in known:
        known["computed"] = run(view.runner(), [start])[0] if plan.probes else ()
    found: dict[str, Any] = {
        "probes": tuple(probe.name for probe in plan.probes),
        "dtype": view.dtype,
        "variables": view.labels(),
        "computed": known["computed"],
        "why_no_oracle": plan.why_no_oracle,
        "why_none": plan.why_none,
    }
    if not plan.probes or plan.why_no_oracle is not None:
        return found
    wanted = {"exact": start}
    if plan.perturbed:
        wanted["briefly" if plan.briefly else "perturbed"] = _moved(view, start, plan)
    open_yet = [name for name in wanted if name not in known]
    try:
        if open_yet:
            with view.exact_runner() as wide:
                known |= zip(open_yet, run(wide, [wanted[name] for name in open_yet]), strict=True)
        return found | {"perturbed" if n == "briefly" else n: known[n] for n in wanted}
    except Float64Unavailable as reason:
        return found | {"why_no_oracle": str(reason)}


def _moved(view: TwinView, start: Start, plan: Plan) -> Start:
    kept = start.batches[:1] if plan.briefly else start.batches
    batches = [perturbed_inputs(batch, view.dtype, plan.seed) for batch in kept]
    return Start(start.values, batches, (view.dtype, plan.seed))


def repeats(view: TwinView, first: Sequence[Array], once: Callable[[Runner], Sequence[Array]]) -> bool:
    """Tell whether a model gives the same results again from the same state.

    A model that may draw outside Keras's seed generators is asked several times, under other seeds of
    TensorFlow; one seed, set by whoever calls, would bring the same numbers back.

    Args:
        view: the model.
        first: its results.
        once: returns these of a runner.
    """
    for seed in range(1, 1 + (REPEATS if view.draws_outside else 1)):
        runner = view.runner().untraced() if view.draws_outside else view.runner()
        with preserved_state():
            if view.draws_outside:  # setting it has TensorFlow forget every function that it has prepared
                tf.random.set_seed(seed)
            again = once(runner)
        if not alike(first, again, REPEATED):
            return False
    return True


def alike(first: Sequence[Array], again: Sequence[Array], within: float = 1e-2) -> bool:
    """Tell whether two runs agree to a share of the largest number: randomness is looked for."""
    return len(first) == len(again) and all(
        _near(one, other, within) for one, other in zip(first, again, strict=True)
    )


def _near(first: Array, again: Array, within: float) -> bool:
    if first.shape != again.shape or first.dtype.kind != "f":
        return np.array_equal(first, again)
    scale = float(np.abs(first[np.isfinite(first)]).max(initial=0))
    return np.allclose(first, again, rtol=within, atol=within * scale, equal_nan=True)


def no_answer(check: str, reference: Observation[Any], candidate: Observation[Any]) -> Finding | None:
    """Return why differing numbers tell nothing: a model that does not repeat them itself; else ``None``.

    Two runs from one state differ clearly where a layer draws random numbers outside Keras's seed
    generators; twins then differ as a model differs from itself.
    """
    if reference.repeatable and candidate.repeatable:
        return None
    side = "candidate" if reference.repeatable else "reference"
    message = (
        f"the {side} gives other results when it is run again on the same inputs from the same state; it "
        "draws random numbers outside Keras's seed generators, so nothing can be compared; draw them with "
        "keras.random and a keras.random.SeedGenerator"
    )
    told = not reference.repeatable, not candidate.repeatable
    return Finding.difference(check, "stochastic", message, values=told)
