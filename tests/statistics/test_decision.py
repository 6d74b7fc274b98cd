import json

import numpy as np
import pytest

from pytest_kerasequiv import InputError, Verdict, equivalence_test
from pytest_kerasequiv.statistics.decision import decide, decide_at_look, holm, joint_verdict
from pytest_kerasequiv.statistics.looks import Look, default_looks, parse_looks

SAME, OTHER, OPEN = Verdict.EQUIVALENT, Verdict.DIFFERENT, Verdict.INCONCLUSIVE


def metrics(seed, n=20, shift=0.0):
    rng = np.random.default_rng(seed)
    mse = rng.gamma(9, 0.5, n)
    return {"mse": mse + shift, "mae": np.sqrt(mse) * rng.normal(1, 0.05, n) + shift}


def test_one_metric_decides_as_alone():
    x, y = metrics(1), metrics(2)
    joint = decide({"mse": x["mse"]}, {"mse": y["mse"]}, margins={"mse": "20%"})
    assert joint.metrics["mse"] == equivalence_test(x["mse"], y["mse"], margin="20%", paired=True)
    assert joint.verdict is joint.metrics["mse"].verdict


def test_equal_twins_are_equivalent_in_every_metric():
    joint = decide(metrics(1), metrics(1))
    assert joint.verdict is SAME
    assert all(test.verdict is SAME and test.difference == 0 for test in joint.metrics.values())


def test_one_differing_metric_makes_the_pair_different():
    x = metrics(1)
    joint = decide(x, {"mse": x["mse"], "mae": x["mae"] + 2})
    assert (joint.metrics["mse"].verdict, joint.metrics["mae"].verdict) == (SAME, OTHER)
    assert joint.verdict is OTHER


def test_holm_counts_the_metrics():
    rng = np.random.default_rng(1)
    x = rng.normal(size=20)
    y = rng.normal(0.66, 1, 20)
    alone = equivalence_test(x, y)
    assert 0.0125 < alone.p_difference <= 0.05, "a difference that four metrics must hide"
    assert alone.verdict is OTHER
    noise = {name: (rng.normal(size=20), rng.normal(size=20)) for name in "abc"}
    joint = decide(
        {"m": x} | {name: pair[0] for name, pair in noise.items()},
        {"m": y} | {name: pair[1] for name, pair in noise.items()},
        paired=False,
    )
    assert joint.metrics["m"].p_difference == alone.p_difference
    assert joint.metrics["m"].p_difference_holm == pytest.approx(4 * alone.p_difference)
    assert joint.metrics["m"].verdict is OPEN


def test_margins_per_metric():
    joint = decide(metrics(1), metrics(2), margins={"mae": "50%"})
    assert joint.metrics["mae"].margin_label == "50%"
    assert joint.metrics["mse"].margin_label == "1 sd"


@pytest.mark.parametrize("shift", [0.0, 0.7, 3.0])
@pytest.mark.parametrize("paired", [True, False])
def test_decide_with_looks_is_the_look_by_look_decision(shift, paired):
    x, y = metrics(3), metrics(4, shift=shift)
    looks = default_looks(20)
    for k in range(3):
        step = decide_at_look(x, y, looks, k, paired=paired)
        # What comes after the look must not matter.
        cut = looks[k].n
        early = (
            {name: values[:cut] for name, values in x.items()},
            {name: values[:cut] for name, values in y.items()},
        )
        assert step == decide_at_look(*early, looks, k, paired=paired)
        if step.settled:
            break
    assert decide(x, y, looks=looks, paired=paired) == step
    assert decide(x, y, looks=(10, 15, 20), paired=paired) == step
    assert step.settled


def test_runs_are_paired_where_nothing_is_said():
    x, y = metrics(3), metrics(4, shift=0.7)
    assert decide_at_look(x, y, default_looks(20), 2) == decide_at_look(
        x, y, default_looks(20), 2, paired=True
    )
    assert decide(x, y) == decide(x, y, paired=True) != decide(x, y, paired=False)


def test_stops_at_the_first_look_where_twins_are_equal_or_far_apart():
    x = metrics(5)
    for y, verdict in ((x, SAME), (metrics(6, shift=9.0), OTHER)):
        joint = decide(x, y, looks=default_looks(20))
        assert (joint.verdict, joint.n, joint.settled) == (verdict, 10, True)
        assert joint.metrics["mse"].level == pytest.approx(0.005)
        assert joint.metrics["mse"].alpha == pytest.approx(0.05)


def test_an_unfinished_plan_is_not_settled():
    x, y = metrics(3, 12), metrics(4, 12, shift=0.7)
    joint = decide(x, y, looks=default_looks(20), paired=False)
    assert (joint.verdict, joint.n, joint.settled) == (OPEN, 10, False)


def test_failed_runs_of_an_accuracy_count_as_its_smallest_value():
    x = {"accuracy": np.linspace(0.8, 0.9, 20), "loss": np.linspace(1, 2, 20)}
    y = {name: np.where(np.arange(20) == 3, np.nan, values) for name, values in x.items()}
    joint = decide(x, y)
    assert joint.metrics["accuracy"].fail_value == 0.8
    assert joint.metrics["loss"].fail_value == 2.0
    assert decide(x, y, fail_values={"accuracy": 0.1, "loss": None}).metrics["accuracy"].fail_value == 0.1


def test_three_verdicts_join():
    assert joint_verdict([SAME, SAME]) is SAME
    assert joint_verdict([SAME, OPEN]) is OPEN
    assert joint_verdict([SAME, OPEN, OTHER]) is OTHER


def test_holm_keeps_order_and_never_exceeds_one():
    assert holm([0.9, 0.01, 0.6]) == pytest.approx([1.0, 0.03, 1.0])
    assert holm([0.03, 0.02]) == pytest.approx([0.04, 0.04])


def test_text_and_json():
    joint = decide(metrics(1), metrics(2), looks=default_looks(20))
    text = str(joint)
    assert text.startswith(str(joint.verdict))
    assert "looks at 10, 15, 20" in text
    assert "mae: " in text
    data = json.loads(json.dumps(joint.to_dict(), allow_nan=False))
    assert data["verdict"] == joint.verdict.value
    assert data["metrics"]["mae"] == json.loads(json.dumps(joint.metrics["mae"].to_dict()))
    assert (data["n"], data["looks"], data["settled"]) == (joint.n, [10, 15, 20], True)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"reference": {}, "candidate": {}}, "no metric"),
        ({"candidate": {"mse": [1, 2]}}, "same metrics"),
        ({"margins": {"rmse": 1}}, "margins names 'rmse'.*choose from mse, mae"),
        ({"margins": {"mse": 0}}, "margin=0"),
        ({"alpha": 2}, "alpha=2"),
        ({"looks": (30, 40)}, "start at 30"),
        ({"rng": "x"}, "rng="),
        ({"candidate": metrics(1, 19)}, "20 runs and candidate 19"),
    ],
)
def test_refuses(change, part):
    arguments = {"reference": metrics(1), "candidate": metrics(2)} | change
    with pytest.raises(InputError, match=part):
        decide(arguments.pop("reference"), arguments.pop("candidate"), **arguments)


def test_refuses_a_look_before_its_runs_are_there():
    with pytest.raises(InputError, match=r"looks\[1\] takes 15 runs but only 12"):
        decide_at_look(metrics(1, 12), metrics(2, 12), default_looks(20), 1)


def test_unpaired_arms_of_different_size():
    assert (
        decide(metrics(1, 25), metrics(2, 12), paired=False, margins={"mse": 50, "mae": 50}).verdict is SAME
    )


@pytest.mark.parametrize("n", [2, 10, 20, 33, 40])
@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.2])
def test_default_looks_spend_alpha_once(n, alpha):
    looks = default_looks(n, alpha)
    assert looks[-1].n == n
    assert sum(look.alpha for look in looks) == pytest.approx(alpha)
    assert len(looks) == {20: 3, 40: 4}.get(n, 1)


def test_default_levels():
    assert [(look.n, round(look.alpha, 6)) for look in default_looks(20)] == [
        (10, 0.005),
        (15, 0.005),
        (20, 0.04),
    ]
    levels = [(look.n, round(look.alpha, 6)) for look in default_looks(40)]
    assert levels == [(10, 0.005), (20, 0.025), (30, 0.01), (40, 0.01)]


def test_the_failure_guard_is_no_looser_at_a_looser_alpha():
    strict, usual, loose = (
        [look.failure_level for look in default_looks(20, alpha)] for alpha in (0.01, 0.05, 0.2)
    )
    assert loose == usual
    assert strict == pytest.approx([level / 5 for level in usual])


def test_own_looks_spend_no_more_than_alpha():
    x, y = metrics(1), metrics(1)
    joint = decide(x, y, looks=(13, 20))
    assert (joint.n, joint.looks) == (13, (13, 20))
    assert joint.metrics["mse"].level == pytest.approx(0.01)
    assert decide(x, y, looks=(9, 20)).n == 20, "nine runs do not satisfy the failure guard at half of alpha"
    with pytest.raises(InputError, match="spend more than alpha"):
        decide(x, y, looks=(Look(10, 0.04, 0.04), Look(20, 0.04, 0.04)))


def test_own_looks_share_a_fifth_of_alpha_but_for_the_last():
    looks = parse_looks((2, 12, 16, 20), 20, 0.06)
    assert [look.alpha for look in looks] == pytest.approx([0.004, 0.004, 0.004, 0.048])
    assert [look.failure_level for look in looks] == pytest.approx([0.015] * 4)


def test_a_single_failure_at_the_first_look_waits():
    x = metrics(1)
    y = {name: np.where(np.arange(20) == 2, np.nan, values) for name, values in x.items()}
    joint = decide(x, y, looks=default_looks(20), margins={"mse": 9, "mae": 9})
    assert (joint.verdict, joint.n) == (SAME, 15)
