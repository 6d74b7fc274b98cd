"""Results of checks that did not come to an answer: they broke, or their time was up."""

from __future__ import annotations

import traceback

from pytest_kerasequiv.errors import error_in_words
from pytest_kerasequiv.time_limit import TimeLimit, TimeUp
from pytest_kerasequiv.verdict import CheckResult, Finding, Verdict


def crashed(name: str, error: Exception) -> CheckResult:
    """Return the result of a check that raised an exception."""
    message = f"the check could not run: {error_in_words(error)}"
    finding = Finding.difference(name, "error", message)
    trace = "".join(traceback.format_exception(error))
    return CheckResult(name, Verdict.INCONCLUSIVE, None, (finding,), {"traceback": trace})


def out_of_time(name: str, limit: TimeLimit, up: TimeUp) -> CheckResult:
    """Return the result of a check of a pair whose limit of time was reached."""
    finding = Finding.difference(name, "timeout", took_too_long(limit))
    figures = {"traceback": "".join(traceback.format_tb(up.__traceback__))}
    return CheckResult(name, Verdict.INCONCLUSIVE, None, (finding,), figures)


def took_too_long(limit: TimeLimit) -> str:
    """Say that a pair took longer than its limit, and what was running at the end."""
    return (
        "not finished: building, checking and training this pair took longer than its timeout of "
        f"{limit.seconds:g} s; at the end it was in {limit.place}. Mend what hangs there, or set a longer "
        "timeout"
    )
