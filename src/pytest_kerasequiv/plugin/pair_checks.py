"""One check of one pair as a test of its own: what `parametrize_with_checks` and declared twins share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest

from pytest_kerasequiv.verdict import Kind, Verdict

if TYPE_CHECKING:
    from pytest_kerasequiv.building.twins import Twins
    from pytest_kerasequiv.plugin.then_and_now import ThenAndNow
    from pytest_kerasequiv.plugin.twins_factory import TwinsFactory
    from pytest_kerasequiv.training.plan import Training

ARGUMENTS = ("twins", "check")
"""The parameters of a test of `parametrize_with_checks`."""

SELECTED = pytest.StashKey[dict[str, set[Kind]]]()
"""Per pair, the kinds of the checks that will run in this session."""


@dataclass(frozen=True)
class PairCheck:
    """One check of one pair; a test calls it with the pair.

    Attributes:
        pair: name of the pair.
        name: name of the check.
        kind: what its answer counts for.
        plan: makes the `Training` of a check that trains repeatedly; ``None`` for the other checks.
        full: whether it runs even where the answer is known: its name was asked for.
        how: arguments of the `Comparison` of the pair, such as what is accepted.
    """

    pair: str
    name: str
    kind: Kind
    plan: Callable[[], Training] | None = None
    full: bool = False
    how: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"{self.pair}-{self.name}"

    def __call__(self, *_: Twins) -> None:
        """Refuse: the plugin puts a callable check in place when the test runs."""
        raise RuntimeError(f"check {self!r} runs only in the test that parametrize_with_checks decorates")


def pair_check(
    pair: str,
    name: str,
    plan: Callable[[], Training] | None,
    *,
    full: bool = False,
    **how: Any,
) -> PairCheck:
    """Return a check of a pair; the plan goes with those that train repeatedly."""
    from pytest_kerasequiv.checks.ladder import LADDER

    kind = LADDER[name].kind
    return PairCheck(pair, name, kind, plan if kind is Kind.STATISTICAL else None, full, how)


def pair_check_of(item: pytest.Item) -> PairCheck | None:
    """Return the check that a test was made for, ``None`` for other tests."""
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    found = [getattr(item, "pair_check", None), *parameters.values()]
    return next((value for value in found if isinstance(value, PairCheck)), None)


def key_of(item: pytest.Item, check: PairCheck) -> str:
    """Return what the tests of one pair have in common; other parameters of a test make another pair."""
    parent = item.parent.nodeid if item.parent is not None else ""
    function = getattr(item, "originalname", item.name)
    if function == repr(check):
        return f"{parent}::{check.pair}"
    indices: dict[str, int] = getattr(getattr(item, "callspec", None), "indices", {})
    others = [f"{name}={index}" for name, index in sorted(indices.items()) if name not in ARGUMENTS]
    return f"{parent}::{function}[{'-'.join([check.pair, *others])}]"


def note_selected(session: pytest.Session, *, trains: bool) -> None:
    """Note, per pair, which checks will run once the tests are selected."""
    selected: dict[str, set[Kind]] = {}
    for item in session.items:
        check = pair_check_of(item)
        if check is not None and (trains or check.kind is not Kind.STATISTICAL):
            selected.setdefault(key_of(item, check), set()).add(check.kind)
    session.stash[SELECTED] = selected


def keep_together(items: list[pytest.Item]) -> None:
    """Put the cheap tests of a pair where the first one is, or its models are built several times."""
    first: dict[str, int] = {}
    order = []
    for place, item in enumerate(items):
        check = pair_check_of(item)
        cheap = check is not None and check.kind is not Kind.STATISTICAL
        order.append(first.setdefault(key_of(item, check), place) if check is not None and cheap else place)
    items[:] = [items[place] for place in sorted(range(len(items)), key=order.__getitem__)]


def informs(item: pytest.Item, check: PairCheck) -> bool:
    """Tell whether a check only informs, since numeric checks of its pair run in this session and decide."""
    selected = item.session.stash.get(SELECTED, {}).get(key_of(item, check), set())
    return not check.kind.decides and any(kind.runs for kind in selected)


def _expect_failure(reason: str) -> None:
    """End the test as an expected failure; returns with ``--runxfail``, where pytest takes xfail away."""
    __tracebackhide__ = True
    pytest.xfail(reason)


def run_pair_check(
    item: pytest.Item, factory: TwinsFactory, check: PairCheck, twins: Twins | ThenAndNow
) -> None:
    """Run a check in its test. A difference that only informs makes the test an expected failure."""
    __tracebackhide__ = True
    under_test = factory.shared(key_of(item, check), twins, **check.how)
    if not check.full and under_test.leaves_out(check.name):
        pytest.skip(f"not run: {under_test.report.not_run[check.name]}")
    options = {"training": check.plan()} if check.plan is not None else {}
    if not informs(item, check):
        run = under_test.check if check.full else under_test.advance
        if run(check.name, **options) is None:
            pytest.skip(f"not run: {under_test.report.not_run[check.name]}")
        under_test.refuse_idle_accept()
        under_test.demand(check.name)
        return
    result = under_test.inform(check.name)
    if result.kind is Kind.PROVING and result.differences:
        under_test.demand(check.name)  # numbers that agree do not settle over what programs part
    elif result.verdict is not Verdict.EQUIVALENT:
        _expect_failure(f"{check.name} informs, the numeric checks of this pair decide\n{under_test.report}")
        under_test.demand(check.name)


@dataclass(frozen=True, repr=False)
class BoundCheck:
    """A check in its test, which calls it with the pair."""

    item: pytest.Function
    check: PairCheck
    called: list[bool] = field(default_factory=list)

    def __repr__(self) -> str:
        return repr(self.check)

    def __call__(self, twins: Twins) -> None:
        """Run the check."""
        __tracebackhide__ = True
        self.called.append(True)
        run_pair_check(self.item, cast("TwinsFactory", self.item.funcargs["keras_twins"]), self.check, twins)


def bind(item: pytest.Function) -> BoundCheck | None:
    """Put a callable check in place of the parameter of a test; return it, ``None`` for other tests."""
    for name, value in item.funcargs.items():
        if isinstance(value, PairCheck):
            item.funcargs[name] = bound = BoundCheck(item, value)
            return bound
    return None


def demand_call(bound: BoundCheck) -> None:
    """Fail a test that passed without calling its check: nothing was compared."""
    __tracebackhide__ = True
    if not bound.called:
        pytest.fail(
            f"the check {bound!r} was not called, so nothing was compared; call check(twins)", pytrace=False
        )
