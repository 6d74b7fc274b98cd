"""Running the ladder of checks over a pair of twins and making its report."""

from __future__ import annotations

import platform
import reprlib
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from importlib import metadata
from typing import Any

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.verdict import CheckResult, Finding, Kind, Report, Verdict, overall

_RECORDED: ContextVar[list[Comparison] | None] = ContextVar("recorded", default=None)


class Comparison:
    """One pair of twins and the results of the checks that have run on it so far.

    Args:
        twins: the pair.
        seed: seed of probes, targets and lock-step updates.
        inputs: the user's own inputs, a batch as ``Model.predict`` takes it; generated probes are added.
        rtol: relative tolerance of the numeric checks; by default it is derived.
        atol: absolute tolerance of the numeric checks.

    """

    def __init__(
        self,
        twins: Twins,
        *,
        seed: int = 0,
        inputs: Any = None,
        rtol: float | None = None,
        atol: float | None = None,
    ) -> None:
        self.twins = twins
        self.pair: Pair = Pair(twins, seed=seed, inputs=inputs, rtol=rtol, atol=atol)
        self.results: dict[str, CheckResult] = {}

    def check(self, name: str, **options: Any) -> CheckResult:
        """Run one check and keep its result.

        Bad input, an unknown check or option among it, raises `InputError`. Any other exception makes the
        check INCONCLUSIVE with the error as its finding: a check that could not run is not a pass, and what
        the others computed is kept.
        """
        asked_checks([name], options.get("training"))
        check = LADDER[name]
        check.refuse_unknown(options)
        # Outside the guard and the clock: what goes wrong in a builder is the user's to see.
        self.pair.build(traced=_needs_program(name))
        started = time.perf_counter()
        try:
            result = check(self.pair, **options)
        except InputError:
            raise
        except Exception as error:
            result = _crashed(name, error)
        seconds = time.perf_counter() - started
        result = replace(result, seconds=seconds, kind=check.kind, next_step=check.next_step)
        self.results[name] = result
        return result

    def report(self) -> Report:
        """Return the report over the checks that have run."""
        ordered = [self.results[name] for name in LADDER.names if name in self.results]
        verdict, evidence, checks = overall(ordered)
        return Report(
            name=self.twins.name,
            verdict=verdict,
            evidence=evidence,
            checks={result.name: result for result in checks},
            context=_context(self.pair),
        )


@contextmanager
def recorded_comparisons() -> Iterator[list[Comparison]]:
    """Gather the comparisons that `compare` makes meanwhile, for who counts what a test has compared."""
    recorded: list[Comparison] = []
    token = _RECORDED.set(recorded)
    try:
        yield recorded
    finally:
        _RECORDED.reset(token)


def compare(
    reference: Any,
    candidate: Any = None,
    *,
    checks: Iterable[str] | None = None,
    training: Training | None = None,
    inputs: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
    **twins: Any,
) -> Report:
    """Compare two models and return the report.

    Args:
        reference: a `Twins`, or its reference: a builder, a model, a file or an import string.
        candidate: the other twin; ``None`` derives the other-API twin of the reference.
        checks: names from the ladder; by default the seven cheap ones, and ``training`` given a plan.
        training: the plan of the repeated training.
        inputs: the user's own inputs, as ``Model.predict`` takes them; generated probes are added.
        rtol: relative tolerance of the numeric checks; by default it is derived.
        atol: absolute tolerance of the numeric checks.
        seed: seed of probes, targets and lock-step updates.
        **twins: further arguments of `Twins`.

    Raises:
        InputError: an argument cannot be used.

    """
    comparison = Comparison(
        _as_twins(reference, candidate, twins), seed=seed, inputs=inputs, rtol=rtol, atol=atol
    )
    recorded = _RECORDED.get()
    if recorded is not None:
        recorded.append(comparison)
    asked = asked_checks(checks, training)
    comparison.pair.build(traced=any(_needs_program(name) for name in asked))
    for name in asked:
        comparison.check(name, **({"training": training} if needs_plan(name) else {}))
    return comparison.report()


def assert_equivalent(
    reference: Any,
    candidate: Any = None,
    *,
    checks: Iterable[str] | None = None,
    training: Training | None = None,
    inputs: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
    seed: int = 0,
    **twins: Any,
) -> Report:
    """Compare two models as `compare` does, and return the report.

    Raises:
        AssertionError: the verdict is not EQUIVALENT; the message is the report's text.
        InputError: an argument cannot be used.

    """
    __tracebackhide__ = True
    report = compare(
        reference,
        candidate,
        checks=checks,
        training=training,
        inputs=inputs,
        rtol=rtol,
        atol=atol,
        seed=seed,
        **twins,
    )
    if report.verdict is not Verdict.EQUIVALENT:
        raise AssertionError(str(report))
    return report


def asked_checks(checks: Iterable[str] | None, training: Training | None) -> tuple[str, ...]:
    """Return the names of the checks to run, in the order of the ladder.

    Raises:
        InputError: an unknown name, a bare string, no name at all, or ``training`` without a plan.

    """
    _check_plan(training)
    if checks is None:
        return tuple(name for name in LADDER.names if training is not None or not needs_plan(name))
    if isinstance(checks, str):
        raise InputError(
            f"checks={checks!r} is one string; pass a list of names, for example checks=[{checks!r}]"
        )
    if not isinstance(checks, Iterable):
        raise InputError(
            f"checks={checks!r} is no list of names; choose from {', '.join(LADDER.names)}, or leave it out "
            "for all"
        )
    asked = list(checks)
    unknown = [name for name in asked if name not in LADDER]
    if unknown:
        raise InputError(
            f"checks={asked!r} names {unknown[0]!r}, which is no check; choose from {', '.join(LADDER.names)}"
        )
    if not asked:
        raise InputError("checks=[] asks for nothing, so nothing would be checked; name at least one check")
    for name in asked:
        if needs_plan(name) and training is None:
            raise InputError(
                f"checks names {name!r} but training=None; pass training=Training(train, test, ...)"
            )
    return tuple(name for name in LADDER.names if name in asked)


def _needs_program(name: str) -> bool:
    """Whether a check looks at what the models compute, for which the reference is traced first."""
    return LADDER[name].kind is not Kind.INFORMING


def needs_plan(name: str) -> bool:
    """Tell whether a check trains both twins repeatedly, as a `Training` says."""
    return name in LADDER and LADDER[name].kind is Kind.STATISTICAL


def trained_checks() -> tuple[str, ...]:
    """Return the names of the checks that train both twins repeatedly."""
    return tuple(filter(needs_plan, LADDER.names))


def _check_plan(training: Any) -> None:
    if not isinstance(training, Training | None):
        raise InputError(f"training={reprlib.repr(training)} is no plan; pass Training(train, test, ...)")


def _as_twins(reference: Any, candidate: Any, options: Mapping[str, Any]) -> Twins:
    if not isinstance(reference, Twins):
        return Twins(reference, candidate, **options)
    extra = [*(["candidate"] if candidate is not None else []), *options]
    if extra:
        raise InputError(
            f"reference is a Twins already, so {', '.join(extra)} cannot be given as well; "
            "pass them to Twins(...) instead"
        )
    return reference


def _crashed(name: str, error: Exception) -> CheckResult:
    message = f"the check could not run: {type(error).__name__}: {error}"
    finding = Finding(name, None, None, "error", None, None, message)
    trace = "".join(traceback.format_exception(error))
    return CheckResult(name, Verdict.INCONCLUSIVE, None, (finding,), {"traceback": trace})


def _context(pair: Pair) -> dict[str, Any]:
    packages = ("pytest-kerasequiv", "keras", "tensorflow", "numpy", "scipy")
    return {
        "reference": pair.twins.reference_label,
        "candidate": pair.twins.candidate_label,
        "weights": pair.twins.weights,
        "seed": pair.seed,
        "versions": {"python": platform.python_version()}
        | {name: metadata.version(name) for name in packages},
    }
