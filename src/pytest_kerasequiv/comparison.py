"""Running the checks of the ladder on one pair of twins and making its report."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from importlib import metadata
from itertools import count
from typing import Any, Literal, TypeVar

from pytest_kerasequiv import arguments
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks.accepting import accepted, refuse_idle
from pytest_kerasequiv.checks.ladder import LADDER, asked_checks, needs_plan, needs_program
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.unfinished import crashed, out_of_time, took_too_long
from pytest_kerasequiv.deciding import overall
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.exclusive import EXCLUSIVE, refuse_context
from pytest_kerasequiv.keras_access.supported import versions
from pytest_kerasequiv.recording import either
from pytest_kerasequiv.time_limit import TimeLimit, TimeUp
from pytest_kerasequiv.verdict import CONTRADICTED, CheckResult, Finding, Kind, Report, Verdict

_NUMBERS = count()

Found = TypeVar("Found", CheckResult, CheckResult | None)


class Comparison:
    """One pair of twins and the results of the checks that have run on it so far.

    Args:
        twins: the pair.
        seed: seed of probes, targets and lock-step updates.
        inputs: the user's own inputs, a batch as ``Model.predict`` takes it; generated probes are added.
        rtol: relative tolerance of the numeric checks; by default it is derived.
        atol: absolute tolerance of the numeric checks.
        accept: patterns of findings that are meant, see `checks.accepting`.
        timeout: seconds that building, checking and training the pair may take; ``None`` sets no limit.

    Attributes:
        results: check name -> result, as the check found it.
        not_run: check name -> why it was not run.
        context: more of what is needed to read the report.
        number: no other comparison of the process has it.
    """

    def __init__(
        self,
        twins: Twins,
        *,
        seed: int = 0,
        inputs: Any = None,
        rtol: float | None = None,
        atol: float | None = None,
        accept: Iterable[str] = (),
        timeout: float | None = None,
    ) -> None:
        refuse_context()
        self.twins = twins
        self.pair = either.pair_of(twins, seed=seed, inputs=inputs, rtol=rtol, atol=atol)
        self.accept = arguments.accept(accept)
        self.number = next(_NUMBERS)
        self._limit = TimeLimit(arguments.timeout(timeout))
        self._traced = True
        self.results: dict[str, CheckResult] = {}
        self.not_run: dict[str, str] = {}
        self.context: Mapping[str, Any] = {}

    def check(self, name: str, **options: Any) -> CheckResult:
        """Run one check in full and keep its result.

        Bad input, an unknown check or option among it, raises `InputError`. Any other exception makes the
        check INCONCLUSIVE with the error as its finding: a check that could not run is not a pass, and what
        the others computed is kept.
        """
        asked_checks([name], options.get("training"))
        check = LADDER[name]
        check.refuse_unknown(options)
        return self._in_time(name, lambda: self._checked(name, options))

    def _checked(self, name: str, options: Mapping[str, Any]) -> CheckResult:
        with EXCLUSIVE:
            # Outside the guard and the clock: what goes wrong in a builder is the user's to see.
            self.pair.build(traced=self._traced or needs_program(name))
            started = time.perf_counter()
            try:
                self.pair = either.ready_for(LADDER[name], self.pair, options)
                result = either.answer(LADDER[name], self.pair, options)
            except InputError:
                raise
            except Exception as error:
                result = crashed(name, error)
            return self._keep(result, time.perf_counter() - started)

    def build(self, *, traced: bool) -> None:
        """Build both sides; a check says where the time is up.

        Args:
            traced: whether some check to come looks at what they compute; where it is not known which come,
                the reference is traced before the candidate's builder runs all the same.
        """
        self._traced = traced
        with EXCLUSIVE, contextlib.suppress(TimeUp), self._limit:
            self.pair.build(traced=traced)

    def model(self, side: Literal["reference", "candidate"]) -> Any:
        """Return one side's built model.

        Raises:
            TimeoutError: the limit of time is reached.
        """
        try:
            with EXCLUSIVE, self._limit:
                if side == "candidate":
                    self.pair.build(traced=self._traced)
                return getattr(self.twins, side)
        except TimeUp:
            raise TimeoutError(took_too_long(self._limit)) from None

    def advance(self, name: str, **options: Any) -> CheckResult | None:
        """Run the next check of the ladder, unless the answer is known.

        A numeric check of proved twins follows from the program. Where a check has found a difference, those
        that run the models are not run: the result is ``None``, and the report says so.
        """
        kind = LADDER[name].kind
        found = self.different_by(name) if kind.runs else None
        if found is not None:
            self.not_run[name] = f"{found} already differ{'' if found.endswith('s') else 's'}"
            self.results.pop(name, None)
            return None
        return self._in_time(name, lambda: self._advanced(name, options))

    def leaves_out(self, name: str) -> bool:
        """Tell whether the candidate is a function, of which a check can tell nothing, and note why."""
        left = "" if self.twins.function is None else either.left_out(LADDER[name], self.pair)
        if left:
            self.not_run[name] = left
        return bool(left)

    def _advanced(self, name: str, options: Mapping[str, Any]) -> CheckResult | None:
        self.pair.build()
        with EXCLUSIVE:
            left = either.left_out(LADDER[name], self.pair)
        if left:
            self.not_run[name] = left
            return None
        follows = either.follows(LADDER[name], self.pair) if self._proved_for(name) else None
        return self.check(name, **options) if follows is None else self._keep(follows, 0.0)

    def _proved_for(self, name: str) -> bool:
        """Whether a numeric check follows: from the program as a whole, or the entries that it rests on."""
        check = LADDER[name]
        if check.kind is not Kind.NUMERIC or self.proved:
            return check.kind is Kind.NUMERIC
        with EXCLUSIVE:
            return self._same_start and either.proved_in_part(check, self.pair)

    @property
    def _same_start(self) -> bool:
        starts = [result for result in self.results.values() if result.kind is Kind.START]
        return bool(starts) and all(result.verdict is Verdict.EQUIVALENT for result in starts)

    def _in_time(self, name: str, run: Callable[[], Found]) -> Found | CheckResult:
        """Return the result of a check, INCONCLUSIVE where the pair's limit of time is reached before."""
        with EXCLUSIVE:  # what another thread compares meanwhile takes none of the pair's time
            if self._limit.running:
                return run()
            started = time.perf_counter()
            try:
                with self._limit:
                    return run()
            except TimeUp as up:
                return self._keep(out_of_time(name, self._limit, up), time.perf_counter() - started)

    def different_by(self, name: str) -> str | None:
        """Return which check, other than the one named, has found a difference that decides."""
        return next((r.name for r in self._standing() if r.name != name and _settles(r)), None)

    @cached_property
    def proved(self) -> bool:
        """Whether the twins are proved to be one program with one start, and a batch does not contradict."""
        if not either.provable(self.pair):
            return False
        grounds = [check.name for check in LADDER if check.kind in {Kind.PROVING, Kind.START}]
        found = [self.results[name] if name in self.results else self.check(name) for name in grounds]
        proofs = [result for result in found if result.kind is Kind.PROVING]
        if not proofs or any(result.verdict is not Verdict.EQUIVALENT for result in found):
            return False
        with EXCLUSIVE:
            doubt = either.contradiction(self.pair)
        if not doubt or not self._differ():
            return True
        for result in proofs:
            self.results[result.name] = _contradicted(result, doubt)
        return False

    def accepting(self, patterns: Iterable[str]) -> None:
        """Say that more findings are meant."""
        self.accept = (*self.accept, *arguments.accept(patterns))

    @property
    def complete(self) -> bool:
        """Whether all checks that need no plan have run."""
        return all(name in self.results or needs_plan(name) for name in LADDER.names)

    def refuse_idle_accept(self) -> None:
        """Refuse a pattern of ``accept`` that meets no difference, unless what might find one was not run.

        Raises:
            InputError: there is one.
        """
        if not self.not_run:
            refuse_idle(self.results.values(), self.accept)

    def report(self, names: Iterable[str] | None = None) -> Report:
        """Return the report over the checks that have run, or those of them that are named."""
        named = set(LADDER.names if names is None else names)
        ordered = [result for result in self._standing() if result.name in named]
        verdict, evidence, checks = overall(ordered)
        left = {name: why for name, why in self.not_run.items() if name in named}
        return Report(
            name=self.twins.name,
            verdict=verdict,
            evidence=evidence,
            checks={result.name: result for result in checks},
            context={**_context(self.pair, self.accept), **self.context},
            not_run={name: left[name] for name in LADDER.names if name in left},
        )

    def _standing(self) -> list[CheckResult]:
        """Return the results in the order of the ladder, with what is accepted as notes."""
        return accepted([self.results[name] for name in LADDER.names if name in self.results], self.accept)

    def _differ(self) -> bool:
        """Run the numeric checks in full, and tell whether one finds a difference."""
        numeric = [check.name for check in LADDER if check.kind is Kind.NUMERIC]
        return any(self.check(name).verdict is Verdict.DIFFERENT for name in numeric)

    def _keep(self, result: CheckResult, seconds: float) -> CheckResult:
        check = LADDER[result.name]
        result = replace(result, seconds=seconds, kind=check.kind, next_step=check.next_step)
        self.results[result.name] = result
        self.not_run.pop(result.name, None)
        return next(one for one in self._standing() if one.name == result.name)


def _settles(result: CheckResult) -> bool:
    return result.kind.decides and result.verdict is Verdict.DIFFERENT


def _contradicted(result: CheckResult, doubt: str) -> CheckResult:
    message = (
        f"the programs are proved to be the same, but on one batch {doubt}: the code may depend on what no "
        "trace shows, such as the size of a batch; else please report it to pytest-kerasequiv, with both "
        "builders"
    )
    finding = Finding.difference(result.name, CONTRADICTED, message)
    return replace(result, verdict=Verdict.INCONCLUSIVE, evidence=None, findings=(finding, *result.findings))


def _context(pair: Pair, accept: Sequence[str]) -> dict[str, Any]:
    return {
        "reference": pair.twins.reference_label,
        "candidate": pair.twins.candidate_label,
        "weights": pair.twins.weights,
        "seed": pair.seed,
        **either.made_under(pair),
        **({"accept": list(accept)} if accept else {}),
        "versions": {
            "python": platform.python_version(),
            "pytest-kerasequiv": metadata.version("pytest-kerasequiv"),
        }
        | versions(),
    }
