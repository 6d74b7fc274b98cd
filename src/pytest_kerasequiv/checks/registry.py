"""What a check is, and the one list of all checks: everything that names checks reads it here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from pytest_kerasequiv.checks.pair import Correspondence, Pair, Twin
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

Explain = Callable[[Pair, CheckResult, Sequence[Any]], CheckResult]
Settles = Callable[[CheckResult], bool]


def _nothing_to_plan(_: Twin, __: Correspondence | None) -> Iterator[None]:
    yield None


def _as_planned(plan: Any, _: Any) -> Any:
    return plan


def _none(_: Any, __: Correspondence) -> Iterable[tuple[Any, Settles]]:
    return ()


def _settled(_: CheckResult) -> bool:
    return True


def _always(_: CheckResult, __: Correspondence) -> bool:
    return True


@dataclass(frozen=True)
class Check:
    """One comparison of the twins.

    Options of a check are keyword arguments of `plan` and `compare`; each gets those that it names.

    Attributes:
        name: what callers and reports call it.
        kind: what its answer counts for; kinds also order the ladder.
        observe: looks at one twin on a plan and returns plain data. Where a check has several plans, it
            returns a dataclass of which each plan fills other fields, the others being ``None``.
        compare: decides from two observations and what corresponds; touches no model.
        explain: adds to a result what only a look at both models tells, such as the layer at fault; it is
            given the plans that the twins were observed on.
        plan: yields what to observe, plan by plan, from the reference alone; where the structure of the
            candidate is known too, what corresponds aims the plan at the pair. By default one plan, ``None``.
        for_candidate: returns what is left of a plan for the candidate once the reference has been observed
            on it.
        glances: yields plans that look at less than a plan, each with what tells whether its result settles
            what the plan is for; where one does, the plan itself is not observed. By default there are none.
        further: tells whether a result leaves open what the next plan would tell. By default every plan is
            observed.
        beyond_proof: given by a check whose answer for proved twins follows from the program: finds what no
            program tells, such as compile settings. A difference there makes the check run all the same, and
            so does ``None``: what no program tells is not known.
        rests_on: given by a check that follows from some entries of the surface alone: tells of the name of
            one whether it does. Where these are proved the same, though not the whole, the check follows.
        next_step: what a reader does about a difference.
        picture: ``"package.module:function"`` that draws the figures of a result into a file.
    """

    name: str
    kind: Kind
    observe: Callable[[Twin, Any], Any]
    compare: Callable[..., CheckResult]
    explain: Explain | None = None
    plan: Callable[..., Iterator[Any]] = _nothing_to_plan
    for_candidate: Callable[[Any, Any], Any] = _as_planned
    glances: Callable[[Any, Correspondence], Iterable[tuple[Any, Settles]]] = _none
    further: Callable[[CheckResult, Correspondence], bool] = _always
    beyond_proof: Callable[[Pair], Sequence[Finding] | None] | None = None
    rests_on: Callable[[str], bool] | None = None
    next_step: str = ""
    picture: str = ""

    def __call__(self, pair: Pair, **options: Any) -> CheckResult:
        """Run the check on a pair of twins."""
        given = {**pair.settings, **{name: value for name, value in options.items() if value is not None}}
        between = pair.correspondence
        plans = self.plan(pair.reference_twin, between, **named(self.plan, given))
        result, seen = self.run(pair, plans, given)
        return result if self.explain is None else self.explain(pair, result, seen)

    def run(
        self, pair: Pair, plans: Iterable[Any], given: Mapping[str, Any]
    ) -> tuple[CheckResult, list[Any]]:
        """Observe plan by plan until the rest can tell no more; return the result and the plans it took.

        Args:
            pair: the twins.
            plans: what they are observed on; at least one.
            given: options, of which `compare` is handed those that it takes.
        """
        between = pair.correspondence
        seen: list[Any] = []
        reference = candidate = result = None
        for plan in plans:
            for part, settles in (*self.glances(plan, between), (plan, _settled)):
                reference = completed(reference, self.observe(pair.reference_twin, part))
                left = self.for_candidate(part, reference)
                candidate = completed(candidate, self.observe(pair.candidate_twin, left))
                result = self.compare(reference, candidate, between, **named(self.compare, given))
                different = result.verdict is Verdict.DIFFERENT
                if settles(result) and not (different and self.further(result, between)):
                    break  # a glance that finds a difference must leave nothing open
            seen.append(part)
            assert result is not None
            if not self.further(result, between):
                break
        assert result is not None
        return result, seen

    def follows(self, pair: Pair) -> CheckResult | None:
        """Return the result that follows for a proved pair; ``None`` where the check has to run."""
        if self.beyond_proof is None:
            return None
        return following(self.name, self.beyond_proof(pair))

    def refuse_unknown(self, options: Iterable[str]) -> None:
        """Refuse a misspelt option: it would otherwise look like a check that could not run.

        Raises:
            InputError: the check does not take one of the options.
        """
        known = dict.fromkeys((*_keywords(self.plan), *_keywords(self.compare)))
        known.pop("seed", None)  # that of the comparison
        for option in options:
            if option not in known:
                takes = f"it takes {', '.join(known)}" if known else "it takes no options"
                raise InputError(f"option {option}= is unknown to the check {self.name!r}; {takes}")


def following(name: str, found: Sequence[Finding] | None) -> CheckResult | None:
    """Return the result of a check that follows for proved twins; ``None`` where it has to run.

    Args:
        name: name of the check.
        found: what no program tells; ``None`` where that is not known.
    """
    if found is None or any(one.severity == "difference" for one in found):
        return None
    return CheckResult(name, Verdict.EQUIVALENT, Evidence.PROVED, tuple(found), {"follows": "program"})


def completed(known: Any, found: Any) -> Any:
    """Return an observation with what a further plan has added to it."""
    if known is None or not is_dataclass(found):
        return found
    new = {field.name: getattr(found, field.name) for field in fields(found)}
    return replace(known, **{name: value for name, value in new.items() if value is not None})


def _keywords(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]


def named(function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the options that a function takes by keyword alone."""
    return {name: options[name] for name in _keywords(function) if name in options}


class Registry:
    """The ladder of checks, cheap to dear: by kind, and within a kind in the order they were added."""

    def __init__(self, checks: Iterable[Check]) -> None:
        self._checks = {check.name: check for check in checks}

    def __iter__(self) -> Iterator[Check]:
        kinds = list(Kind)
        return iter(sorted(self._checks.values(), key=lambda check: kinds.index(check.kind)))

    def __contains__(self, name: object) -> bool:
        return name in self._checks

    def __getitem__(self, name: str) -> Check:
        return self._checks[name]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all checks, in the order of the ladder."""
        return tuple(check.name for check in self)

    def add(self, check: Check) -> None:
        """Add a check; the ladder has it from now on.

        Raises:
            InputError: there is a check of that name.
        """
        if check.name in self._checks:
            raise InputError(f"there is a check named {check.name!r} already; give the new one another name")
        self._checks[check.name] = check

    def replace(self, checks: Iterable[Check]) -> None:
        """Have other checks instead."""
        self._checks = {check.name: check for check in checks}

    @contextmanager
    def replaced(self, checks: Iterable[Check]) -> Iterator[None]:
        """Have other checks within a block; after it, those from before."""
        before = self._checks
        self.replace(checks)
        try:
            yield
        finally:
            self._checks = before
