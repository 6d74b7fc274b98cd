"""What a check is, and the one list of all checks: everything that names checks reads it here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pytest_kerasequiv.checks.pair import Correspondence, Pair, Twin
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict


@dataclass(frozen=True)
class Check:
    """One comparison of the twins.

    Attributes:
        name: what callers and reports call it.
        kind: what its answer counts for; kinds also order the ladder.
        observe: looks at one twin and returns plain data.
        compare: decides from two observations and what corresponds; touches no model.
        explain: adds to a result what only a look at both models tells, such as the layer at fault.
        run: the whole check, given the pair and its options, instead of `observe` and `compare`: for checks
            whose observation of a twin needs what both have in common.
        beyond_proof: given by a check whose answer for proved twins follows from the program: finds what no
            program tells, such as compile settings; a difference there makes the check run all the same.
        next_step: what a reader does about a difference.
        picture: ``"package.module:function"`` that draws the figures of a result into a file.
    """

    name: str
    kind: Kind
    observe: Callable[[Twin], Any] | None = None
    compare: Callable[[Any, Any, Correspondence], CheckResult] | None = None
    explain: Callable[[Pair, CheckResult], CheckResult] | None = None
    run: Callable[..., CheckResult] | None = None
    beyond_proof: Callable[[Pair], Sequence[Finding]] | None = None
    next_step: str = ""
    picture: str = ""

    def __post_init__(self) -> None:
        whole, parts = self.run is not None, (self.observe is not None, self.compare is not None)
        if whole == any(parts) or parts[0] != parts[1]:
            raise InputError(f"check {self.name!r} needs observe= and compare=, or run= instead of both")

    def __call__(self, pair: Pair, **options: Any) -> CheckResult:
        """Run the check on a pair of twins."""
        if self.run is not None:
            result = self.run(pair, **options)
        else:
            assert self.observe is not None
            assert self.compare is not None
            sides = self.observe(pair.reference_twin), self.observe(pair.candidate_twin)
            result = self.compare(*sides, pair.correspondence)
        return result if self.explain is None else self.explain(pair, result)

    def follows(self, pair: Pair) -> CheckResult | None:
        """Return the result that follows for a proved pair; ``None`` where the check has to run."""
        if self.beyond_proof is None:
            return None
        found = tuple(self.beyond_proof(pair))
        if any(one.severity == "difference" for one in found):
            return None
        return CheckResult(self.name, Verdict.EQUIVALENT, Evidence.PROVED, found, {"follows": "program"})

    def refuse_unknown(self, options: Iterable[str]) -> None:
        """Refuse a misspelt option: it would otherwise look like a check that could not run.

        Raises:
            InputError: the check does not take one of the options.
        """
        parameters = inspect.signature(self.run).parameters.values() if self.run is not None else ()
        known = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
        open_ended = any(one.kind is one.VAR_KEYWORD for one in parameters)
        for option in options:
            if option not in known and not open_ended:
                takes = f"it takes {', '.join(known)}" if known else "it takes no options"
                raise InputError(f"option {option}= is unknown to the check {self.name!r}; {takes}")


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
