"""The two functions that compare: `compare` returns the report, `assert_equivalent` raises it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks.ladder import asked_checks, needs_plan, needs_program
from pytest_kerasequiv.comparison import Comparison
from pytest_kerasequiv.counting import counting
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.verdict import Report, Verdict


def compare(
    reference: Any,
    candidate: Any = None,
    *,
    checks: Iterable[str] | Literal["all"] | None = None,
    training: Training | None = None,
    inputs: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
    accept: Iterable[str] = (),
    seed: int = 0,
    input_shape: Any = None,
    compile: Any = None,  # noqa: A002 - named after Model.compile
    weights: Literal["auto", "copy", "own"] = "auto",
    batch: Any = None,
    backend: Literal["tensorflow", "jax", "torch"] | None = None,
    name: str | None = None,
) -> Report:
    """Compare two models and return the report.

    Args:
        reference: a `Twins`, or its reference: a builder, a model, a file or an import string.
        candidate: the other twin; ``None`` derives the other-API twin of the reference.
        checks: names from the ladder, which run in full; ``"all"``; or ``None``: until the answer is known.
            Proved twins then end with the proof, and others with the first check that finds a difference.
        training: the plan of the repeated training.
        inputs: the user's own inputs, as ``Model.predict`` takes them; generated probes are added.
        rtol: relative tolerance of the numeric checks; by default it is derived.
        atol: absolute tolerance of the numeric checks.
        accept: patterns ``layer.field`` of differences that are meant, such as ``"clip.*"``; they become
            notes.
        seed: seed of probes, targets and lock-step updates.
        input_shape: as `Twins` takes it.
        compile: as `Twins` takes it.
        weights: as `Twins` takes it.
        batch: as `Twins` takes it.
        backend: as `Twins` takes it.
        name: name of the pair in reports.

    Raises:
        InputError: an argument cannot be used, or an entry of ``accept`` meets nothing.

    """
    of_twins = {
        "input_shape": input_shape,
        "compile": compile,
        "batch": batch,
        "backend": backend,
        "name": name,
    }
    given = {key: value for key, value in of_twins.items() if value is not None}
    if weights != "auto":
        given["weights"] = weights
    twins = _as_twins(reference, candidate, given)
    counted = counting()
    comparison = Comparison(
        twins, seed=seed, inputs=inputs, rtol=rtol, atol=atol, accept=accept, timeout=counted.timeout
    )
    counted.comparisons.append(comparison)
    everything = checks is not None or counted.everything
    asked = asked_checks(checks, training)
    comparison.build(traced=any(map(needs_program, asked)))
    for one in asked:
        if checks in (None, "all") and comparison.leaves_out(one):
            continue
        run = comparison.check if everything else comparison.advance
        run(one, **({"training": training} if needs_plan(one) else {}))
    comparison.refuse_idle_accept()
    return comparison.report()


def assert_equivalent(
    reference: Any,
    candidate: Any = None,
    *,
    checks: Iterable[str] | Literal["all"] | None = None,
    training: Training | None = None,
    inputs: Any = None,
    rtol: float | None = None,
    atol: float | None = None,
    accept: Iterable[str] = (),
    seed: int = 0,
    input_shape: Any = None,
    compile: Any = None,  # noqa: A002 - named after Model.compile
    weights: Literal["auto", "copy", "own"] = "auto",
    batch: Any = None,
    backend: Literal["tensorflow", "jax", "torch"] | None = None,
    name: str | None = None,
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
        accept=accept,
        seed=seed,
        input_shape=input_shape,
        compile=compile,
        weights=weights,
        batch=batch,
        backend=backend,
        name=name,
    )
    if report.verdict is not Verdict.EQUIVALENT:
        raise AssertionError(str(report))
    return report


def _as_twins(reference: Any, candidate: Any, options: dict[str, Any]) -> Twins:
    if not isinstance(reference, Twins):
        return Twins(reference, candidate, **options)
    extra = [*(["candidate"] if candidate is not None else []), *options]
    if extra:
        raise InputError(
            f"reference is a Twins already, so {', '.join(extra)} cannot be given as well; "
            "pass them to Twins(...) instead"
        )
    return reference
