import numpy as np
import pytest

from pytest_kerasequiv import InputError, equivalence_test, required_runs
from pytest_kerasequiv.statistics.planning import (
    detectable_difference,
    equivalence_power,
    fewest_runs,
    runs_for,
)


def test_units_of_the_margin():
    assert required_runs("1sd", sd=7.0) == required_runs(7.0, sd=7.0) == required_runs() == 18
    assert required_runs("10%", sd=0.5, mean=5.0) == required_runs(0.5, sd=0.5)
    assert required_runs("10%", sd=0.5, mean=-5.0) == 18


def test_a_true_difference_takes_more_runs():
    assert required_runs(1.0, difference=0.5) > 2 * required_runs(1.0)
    assert required_runs(1.0, difference=-0.5) == required_runs(1.0, difference=0.5)


@pytest.mark.parametrize(("k", "paired", "n"), [(1.0, False, 22), (0.5, False, 74), (1.0, True, 20)])
def test_an_estimated_margin_takes_somewhat_more_runs(k, paired, n):
    options = {"paired": True, "correlation": 0.0} if paired else {}
    assert required_runs(k, estimated=True, **options) == pytest.approx(n, abs=3)
    assert required_runs(k, estimated=True, **options) >= required_runs(k, **options)


@pytest.mark.parametrize(("k", "n"), [(1.0, 20), (1.0, 30), (0.75, 36)])
def test_power_of_the_estimated_margin_is_what_simulation_finds(k, n):
    from pytest_kerasequiv.statistics.mover import sd_margin

    x, y = np.random.default_rng(n).normal(size=(2, 20_000, n))
    passed = sd_margin(x, y, paired=False).passes(k, 0.05).mean()
    assert equivalence_power(n, k, 1.0, estimated=1.0) == pytest.approx(passed, abs=0.03)


@pytest.mark.parametrize(("n", "difference", "paired"), [(12, 0.0, False), (20, 0.4, False), (8, 0.2, True)])
def test_power_of_a_known_margin_is_what_simulation_finds(n, difference, paired):
    from pytest_kerasequiv.statistics.means import tost_absolute

    x, y = np.random.default_rng(n).normal(size=(2, 40_000, n))
    sd = np.sqrt(2) if paired else 1.0
    passed = (np.maximum(*tost_absolute(x, y + difference, 1.2, paired=paired)) <= 0.05).mean()
    assert equivalence_power(n, 1.2, sd, difference=difference, paired=paired) == pytest.approx(
        passed, abs=0.01
    )


@pytest.mark.parametrize("paired", [True, False])
def test_no_fewer_runs_have_the_power(paired):
    found = [runs_for(margin, 1.0, paired=paired) for margin in np.linspace(0.8, 1.6, 17)]
    for runs, margin in zip(found, np.linspace(0.8, 1.6, 17), strict=True):
        power = [equivalence_power(n, margin, 1.0, paired=paired) >= 0.7995 for n in range(9, 40)]
        assert runs == 9 + power.index(True)
    assert {10, 11, 19} & set(found), "just beyond where the search doubles"


def test_fewest_runs():
    assert [fewest_runs(alpha) for alpha in (0.05, 0.01, 0.3, 0.49)] == [9, 13, 4, 2]
    assert required_runs(50.0) == 9
    assert required_runs(50.0, alpha=0.01) == 13


def test_pairs_may_be_opposed():
    """Differences of runs that mirror each other spread as twice the run does."""
    assert required_runs(1.0, paired=True, correlation=-1.0) == runs_for(1.0, 2.0, paired=True)


def test_no_spread_takes_the_fewest():
    assert runs_for(1.0, 1.0) == required_runs(1.0), "unpaired, where nothing is said"
    assert runs_for(1.0, 0.0) == runs_for(0.0, 0.0) == 9
    assert runs_for(1.0, 0.0, difference=2.0) is runs_for(1.0, 0.0, difference=-1.0) is None


def test_hopeless_margins():
    assert runs_for(1e-5, 1.0) is None
    with pytest.raises(InputError, match="needs more than 1,000,000 runs"):
        required_runs(1e-5)


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"margin": "5 percent"}, "margin='5 percent'"),
        ({"power": 1.0}, "power=1.0"),
        ({"power": 0}, "power=0"),
        ({"alpha": 0.5}, "alpha=0.5"),
        ({"correlation": 0.5}, "correlation=0.5 means nothing"),
        ({"correlation": 1.0, "paired": True}, "correlation=1.0"),
        ({"correlation": -1.01, "paired": True}, "correlation=-1.01"),
        ({"sd": 0}, "sd=0"),
        ({"sd": float("nan")}, "sd=nan"),
        ({"margin": "10%"}, "mean=None"),
        ({"margin": "10%", "mean": 0.0}, "mean=0.0"),
        ({"margin": 1.0, "difference": 1.0}, "difference=1.0 is not inside"),
    ],
)
def test_refuses(arguments, part):
    with pytest.raises(InputError, match=part):
        required_runs(**arguments)


def test_recommended_runs_would_settle_it():
    rng = np.random.default_rng(2)
    few = equivalence_test(rng.normal(size=10), rng.normal(size=10))
    assert few.recommended_runs > 10
    passed = []
    for _ in range(60):
        x, y = (
            rng.normal(0, few.reference.sd, few.recommended_runs),
            rng.normal(0, few.candidate.sd, few.recommended_runs),
        )
        passed.append(equivalence_test(x, y, margin=few.margin).equivalent_means)
    assert np.mean(passed) > 0.65


@pytest.mark.parametrize("paired", [True, False])
def test_runs_are_recommended_for_the_spread_that_the_test_sees(paired):
    """Of pairs that is the spread of their differences, however much the seeds move both twins."""
    rng = np.random.default_rng(5)
    x = rng.normal(0, 5, 12)
    y = x + rng.normal(0.3, 1, 12)
    sd = (y - x).std(ddof=1) if paired else np.sqrt((x.var(ddof=1) + y.var(ddof=1)) / 2)
    test = equivalence_test(x, y, margin=1.0, paired=paired)
    assert test.recommended_runs == runs_for(1.0, sd, paired=paired)
    assert test.runs_at_difference == runs_for(1.0, sd, paired=paired, difference=y.mean() - x.mean())
    assert test.detectable_difference == pytest.approx(detectable_difference(12, paired=paired) * sd)


def test_inconclusive_says_how_many_runs():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=12), rng.normal(0.4, 1, 12)
    test = equivalence_test(x, y)
    text = " ".join(test.reasons)
    assert test.verdict.value == "INCONCLUSIVE"
    assert f"pass with {test.recommended_runs} runs" in text
    assert f"true one, with {test.runs_at_difference}" in text
    assert "they do show them to be within" in text
    assert test.runs_at_difference > test.recommended_runs > 12


def test_failures_are_the_reason_not_the_mean():
    x = np.random.default_rng(3).normal(4.66, 0.12, 20)
    y = x.copy()
    y[[2, 5, 7]] = np.nan
    reasons = equivalence_test(x, y, paired=True, margin="5%").reasons
    assert reasons[0].startswith("failures: 0 reference and 3 candidate runs of 20")
    assert not any("too near 0" in reason for reason in reasons)
