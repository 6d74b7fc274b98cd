"""The ladder: the checks that come with the package, and those that others add."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_kerasequiv import arguments
from pytest_kerasequiv.checks import gradients, graph, outputs, program, summary, training, updates, weights
from pytest_kerasequiv.checks.registry import Registry
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.verdict import Kind

LADDER = Registry(
    module.CHECK for module in (summary, graph, program, weights, outputs, gradients, updates, training)
)


def picture_of(name: str) -> str:
    """Return what draws the figures of a check.

    Raises:
        ValueError: the check has no picture.
    """
    if name in LADDER and LADDER[name].picture:
        return LADDER[name].picture
    known = " and ".join(check.name for check in LADDER if check.picture)
    raise ValueError(f"check {name!r} has no picture; {known} have one")


def asked_checks(checks: Iterable[str] | None, training: Training | None) -> tuple[str, ...]:
    """Return the names of the checks to run, in the order of the ladder.

    Raises:
        InputError: an unknown name, a bare string, no name at all, or ``training`` without a plan.

    """
    arguments.training(training, Training)
    asked = arguments.checks(checks, LADDER.names)
    if asked is None or checks == "all":
        return tuple(name for name in LADDER.names if training is not None or not needs_plan(name))
    for name in asked:
        if needs_plan(name) and training is None:
            raise InputError(
                f"checks names {name!r} but training=None; pass training=Training(train, test, ...)"
            )
    return asked


def needs_program(name: str) -> bool:
    """Tell whether a check looks at what the models compute, for which the reference is traced first."""
    return LADDER[name].kind is not Kind.INFORMING


def needs_plan(name: str) -> bool:
    """Tell whether a check trains both twins repeatedly, as a `Training` says."""
    return name in LADDER and LADDER[name].kind is Kind.STATISTICAL


def trained_checks() -> tuple[str, ...]:
    """Return the names of the checks that train both twins repeatedly."""
    return tuple(filter(needs_plan, LADDER.names))
