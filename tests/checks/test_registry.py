"""How a check is run plan by plan, and the list of checks; with checks that look at nothing."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.registry import Check, Registry, completed
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict

PAIR: Any = SimpleNamespace(
    settings={"seed": 5, "rtol": 0.1},
    correspondence="between",
    reference_twin="ours",
    candidate_twin="theirs",
)


@dataclass(frozen=True)
class Seen:
    first: str | None = None
    second: str | None = None


class Script:
    """Parts of a check that note what they are given."""

    def __init__(self, answers: dict[Any, Verdict] | None = None) -> None:
        self.answers = answers or {}
        self.observed: list[tuple[str, Any]] = []
        self.compared: list[tuple[Any, Any, Any, dict[str, Any]]] = []

    def observe(self, twin: str, plan: Any) -> Any:
        self.observed.append((twin, plan))
        return plan

    def compare(
        self, ours: Any, theirs: Any, between: Any, *, rtol: Any = None, steps: int = 1
    ) -> CheckResult:
        self.compared.append((ours, theirs, between, {"rtol": rtol, "steps": steps}))
        verdict = self.answers.get(ours, Verdict.EQUIVALENT)
        return CheckResult("check", verdict, Evidence.MEASURED, (), {"ours": ours})

    def check(self, *plans: Any, **parts: Any) -> Check:
        def plan(reference: Any, between: Any, *, steps: int = 1, size: int = 1) -> Any:
            self.planned = reference, between, steps, size
            yield from plans

        return Check("check", Kind.NUMERIC, self.observe, self.compare, plan=plan, **parts)


def test_options_go_where_they_are_named_and_those_of_the_pair_stand_behind_them() -> None:
    script = Script()
    script.check("plan")(PAIR, steps=3, rtol=None, other=1)
    assert script.planned == ("ours", "between", 3, 1)
    assert script.compared == [("plan", "plan", "between", {"rtol": 0.1, "steps": 3})]
    script.check("plan")(PAIR, rtol=0.5)
    assert script.compared[-1][3] == {"rtol": 0.5, "steps": 1}


def test_without_a_plan_both_twins_are_looked_at_once() -> None:
    script = Script()
    Check("check", Kind.NUMERIC, script.observe, script.compare)(PAIR)
    assert script.observed == [("ours", None), ("theirs", None)]


def test_the_candidate_is_observed_on_what_is_left_of_the_plan() -> None:
    script = Script()
    script.check("plan", for_candidate=lambda plan, seen: f"{plan} after {seen}")(PAIR)
    assert script.observed == [("ours", "plan"), ("theirs", "plan after plan")]


def test_every_plan_is_observed_and_adds_to_what_is_known() -> None:
    script = Script()
    result = script.check(Seen(first="a"), Seen(second="b"))(PAIR)
    assert [ours for ours, *_ in script.compared] == [Seen("a"), Seen("a", "b")]
    assert [theirs for _, theirs, *_ in script.compared] == [Seen("a"), Seen("a", "b")]
    assert result.figures["ours"] == Seen("a", "b")


def test_no_plan_is_made_that_the_result_leaves_nothing_open_for() -> None:
    script, asked = Script(), []

    def further(result: CheckResult, between: Any) -> bool:
        asked.append((result.figures["ours"], between))
        return len(asked) < 2

    script.check("a", "b", "c", further=further)(PAIR)
    assert asked == [("a", "between"), ("b", "between")]
    assert [plan for twin, plan in script.observed if twin == "ours"] == ["a", "b"]


SETTLES = (("glance", lambda result: True),)
LEAVES_OPEN = (("glance", lambda result: False),)


@pytest.mark.parametrize(
    ("glances", "verdict", "further", "observed"),
    [
        (SETTLES, Verdict.EQUIVALENT, True, ["glance"]),
        (SETTLES, Verdict.DIFFERENT, False, ["glance"]),
        (SETTLES, Verdict.DIFFERENT, True, ["glance", "plan"]),
        (LEAVES_OPEN, Verdict.EQUIVALENT, True, ["glance", "plan"]),
        (LEAVES_OPEN, Verdict.DIFFERENT, False, ["glance", "plan"]),
    ],
)
def test_a_glance_that_settles_a_plan_stands_for_it(
    glances: Any, verdict: Verdict, further: bool, observed: list[str]
) -> None:
    script, seen = Script({"glance": verdict}), []

    def explain(pair: Any, result: CheckResult, plans: Any) -> CheckResult:
        seen.extend(plans)
        return result

    parts = {"glances": lambda plan, between: glances, "further": lambda result, between: further}
    result = script.check("plan", explain=explain, **parts)(PAIR)
    assert [plan for twin, plan in script.observed if twin == "ours"] == observed
    assert seen == observed[-1:]
    assert result.figures["ours"] == observed[-1]


def test_what_is_explained_is_the_answer() -> None:
    told = CheckResult("check", Verdict.DIFFERENT, Evidence.MEASURED)
    assert Script().check("plan", explain=lambda pair, result, plans: told)(PAIR) is told


def finding(severity: Any) -> Finding:
    return Finding("check", None, None, "x", 1, 2, "x is 1 and 2", severity)


@pytest.mark.parametrize(
    ("found", "follows"), [([], True), ([finding("note")], True), ([finding("difference")], False)]
)
def test_what_a_proof_does_not_tell_keeps_a_check_from_following(found: list[Finding], follows: bool) -> None:
    result = Script().check(beyond_proof=lambda pair: found).follows(PAIR)
    assert (result is not None) is follows
    if result is not None:
        assert (result.name, result.verdict, result.evidence) == (
            "check",
            Verdict.EQUIVALENT,
            Evidence.PROVED,
        )
        assert (result.findings, result.figures) == (tuple(found), {"follows": "program"})


def test_a_check_that_says_nothing_of_proofs_has_to_run() -> None:
    assert Script().check().follows(PAIR) is None


def test_unknown_options_are_refused_with_those_it_takes() -> None:
    check = Script().check()
    check.refuse_unknown(["steps", "size", "rtol"])
    with pytest.raises(
        InputError, match="option step= is unknown to the check 'check'; it takes steps, size, rtol"
    ):
        check.refuse_unknown(["steps", "step"])

    def seeded(ours: Any, theirs: Any, between: Any, *, seed: int) -> CheckResult:
        raise AssertionError

    with pytest.raises(InputError, match="option seed= is unknown to the check 'bare'; it takes no options"):
        Check("bare", Kind.NUMERIC, Script().observe, seeded).refuse_unknown(["seed"])


def test_only_dataclasses_are_completed() -> None:
    assert completed(None, Seen(first="a")) == Seen("a")
    assert completed(Seen("a", "b"), Seen(first="c")) == Seen("c", "b")
    assert completed(["a"], ["b"]) == ["b"]


def named(name: str, kind: Kind) -> Check:
    return Check(name, kind, Script().observe, Script().compare)


def test_the_ladder_goes_by_kind_and_then_by_the_order_of_adding() -> None:
    ladder = Registry([named("late", Kind.STATISTICAL), named("one", Kind.NUMERIC)])
    ladder.add(named("two", Kind.NUMERIC))
    ladder.add(named("first", Kind.INFORMING))
    assert ladder.names == ("first", "one", "two", "late")
    assert ladder["two"].kind is Kind.NUMERIC
    assert "two" in ladder
    assert "three" not in ladder


def test_a_check_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        named("one", Kind.NUMERIC).name = "other"  # type: ignore[misc]


def test_a_name_is_taken_once() -> None:
    ladder = Registry([named("one", Kind.NUMERIC)])
    with pytest.raises(
        InputError, match="there is a check named 'one' already; give the new one another name"
    ):
        ladder.add(named("one", Kind.START))
    assert ladder["one"].kind is Kind.NUMERIC


def test_other_checks_stand_in_for_a_block_however_it_ends() -> None:
    ladder = Registry([named("one", Kind.NUMERIC)])

    def broken() -> None:
        with ladder.replaced([named("other", Kind.NUMERIC)]):
            assert ladder.names == ("other",)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert ladder.names == ("one",)


def test_the_ladder_of_the_package() -> None:
    assert LADDER.names == (
        "summary", "graph", "program", "weights", "outputs", "gradients", "updates", "training",
    )  # fmt: skip
