import numpy as np
import pytest

from pytest_kerasequiv.statistics.description import describe_runs, unusual_runs


def test_nothing_unusual_in_normal_runs():
    for seed in range(30):
        x, y = np.random.default_rng(seed).normal(size=(2, 20))
        assert unusual_runs(x, y + 5) == ()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_failed_runs(value):
    x = np.linspace(1, 2, 10)
    y = x.copy()
    y[[2, 5]] = value
    found = unusual_runs(x, y)
    assert [(run.twin, run.index, run.kind) for run in found] == [
        ("candidate", 2, "failed"),
        ("candidate", 5, "failed"),
    ]
    assert describe_runs(x, y)[0].startswith("2 of 10 candidate runs failed (not finite): run 2 (")


def test_collapsed_runs_are_outliers():
    rng = np.random.default_rng(0)
    x, y = rng.normal(4.7, 0.1, (2, 20))
    y[[1, 7, 9, 11, 15]] = 6.07
    sentences = describe_runs(x, y)
    listed = "run 1 (6.07), run 7 (6.07), run 9 (6.07), run 11 (6.07), ..."
    assert sentences == (f"5 of 20 candidate runs far from the others: {listed}",)
    y[15] = 4.7
    (four,) = describe_runs(x, y)
    assert four.endswith(": run 1 (6.07), run 7 (6.07), run 9 (6.07), run 11 (6.07)")


def test_a_shift_of_all_runs_is_no_outlier():
    x = np.random.default_rng(0).normal(0, 1, 20)
    assert unusual_runs(x, x + 100) == ()


def test_mostly_tied_runs():
    x = np.array([1.0] * 19 + [3.0])
    assert [run.index for run in unusual_runs(x, np.ones(20))] == [19]


@pytest.mark.parametrize(("others", "unusual"), [(6, 6), (7, 0)])
def test_of_mostly_tied_runs_five_mean_deviations_are_far(others, unusual):
    """The scale is 1.2533 mean deviations of all 40 runs, and 5 * 1.2533 * 6 / 40 is below 1."""
    x = np.array([1.0] * (20 - others) + [3.0] * others)
    assert len(unusual_runs(x, np.ones(20))) == unusual


@pytest.mark.parametrize(("value", "far"), [(5 * 1.4826 + 0.01, True), (5 * 1.4826 - 0.01, False)])
def test_five_robust_deviations_are_far(value, far):
    x = np.array([-1.0, 1.0] * 9 + [0.0, 0.0, value])
    assert bool(unusual_runs(x, [-1.0, 1.0])) is far


@pytest.mark.parametrize("x", [[np.nan] * 4, [1.0] * 4])
def test_constant_and_failed_arms(x):
    assert {run.kind for run in unusual_runs(x, x)} <= {"failed"}
