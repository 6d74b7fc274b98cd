"""Naming layers in code of the user's that one side shares and the other does not, by their attributes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.checks.blame.wording import only_adds
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.layers.attribute_names import holders
from pytest_kerasequiv.verdict import CheckResult, Finding


@only_adds
def explain(pair: Pair, result: CheckResult, _: Sequence[Any]) -> CheckResult:
    """Put layers that are shared on one side before the variables that only the other has.

    Args:
        pair: the twins.
        result: what the check ``weights`` decided.
    """
    if not any(finding.field == "variables" for finding in result.differences):
        return result
    sides = holders(pair.reference), holders(pair.candidate)
    found = [
        *_shared(result.name, sides[0], sides[1], "reference"),
        *_shared(result.name, sides[1], sides[0], "candidate"),
    ]
    return replace(result, findings=(*found, *result.findings))


def _shared(check: str, one: Mapping[str, Any], other: Mapping[str, Any], side: str) -> Iterator[Finding]:
    """Yield what one side holds once, under names under which the other holds several layers."""
    names: dict[int, list[str]] = defaultdict(list)
    for name in one:
        if name in other:
            names[id(one[name])].append(name)
    for alike in names.values():
        separate = len({id(other[name]) for name in alike})
        if separate > 1:
            there = "candidate" if side == "reference" else "reference"
            message = (
                f"the {side} has one layer as {' and '.join(alike)}, where the {there} has {separate}: "
                "shared against separate weights"
            )
            values = (1, separate) if side == "reference" else (separate, 1)
            yield Finding.difference(check, "sharing", message, values=values)
