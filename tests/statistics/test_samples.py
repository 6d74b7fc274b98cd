import numpy as np
import pytest

from pytest_kerasequiv import InputError, equivalence_test
from pytest_kerasequiv.statistics.description import unusual_runs
from pytest_kerasequiv.statistics.samples import fail_value_for, read_arms, usable


@pytest.mark.parametrize(
    ("bad", "part"),
    [
        ([], "holds 0 runs"),
        ([1.0], "holds 1 run;"),
        (1.0, "shape ()"),
        ([[1.0, 2.0]], "shape (1, 2)"),
        (["a", "b"], "not a row of numbers"),
        (["1", "2"], "not a row of numbers"),
        ([1j, 2j], "not a row of numbers"),
        ([[1], [2, 3]], "not a row of numbers"),
        ([object(), 1], "not a row of numbers"),
        (list("abcdefghijklmnopqrstuvwxyz"), "..."),
    ],
)
@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_refuses_what_is_no_row_of_runs(bad, part, side):
    arms = {"reference": [1.0, 2.0, 3.0], "candidate": [1.0, 2.0, 3.0], side: bad}
    with pytest.raises(InputError) as caught:
        equivalence_test(arms["reference"], arms["candidate"])
    assert str(caught.value).startswith(side)
    assert part in str(caught.value)


def test_refuses_pairs_of_different_length():
    with pytest.raises(InputError, match=r"paired=True needs.*3 runs and candidate 4"):
        equivalence_test([1, 2, 3], [1, 2, 3, 4], paired=True)


@pytest.mark.parametrize("bad", ["no", None, 1, [True]])
def test_refuses_to_guess_whether_runs_are_paired(bad):
    with pytest.raises(InputError, match=r"paired=.* must be True or False"):
        equivalence_test([1, 2, 3], [1, 2, 3], paired=bad)


@pytest.mark.parametrize("bad", ["worst", float("nan"), [1]])
def test_refuses_fail_values(bad):
    with pytest.raises(InputError, match="fail_value="):
        equivalence_test([1, 2, 3], [1, 2, 3], fail_value=bad)


@pytest.mark.parametrize("failure", [np.nan, np.inf, -np.inf, 1e39, None])
@pytest.mark.parametrize(
    ("fail_value", "counted_as"),
    [(None, 9.0), (20.0, 20.0), (5.0, 9.0), (3.0, 9.0), (0.0, 0.0), (-np.inf, 1.0), (np.inf, 9.0)],
)
def test_failed_runs_count_as_the_worse_of_worst_seen_and_fail_value(failure, fail_value, counted_as):
    arms = read_arms([1.0, 2.0, failure, 4.0], [3.0, 9.0], paired=False, fail_value=fail_value)
    assert arms.reference.tolist() == [1.0, 2.0, counted_as, 4.0]
    assert arms.candidate.tolist() == [3.0, 9.0]
    assert arms.reference_failed.tolist() == [False, False, True, False]
    assert arms.fail_value == counted_as


@pytest.mark.parametrize(("fail_value", "counted_as"), [(None, 0.0), (7.0, 7.0), (-np.inf, 0.0)])
def test_where_every_run_failed(fail_value, counted_as):
    arms = read_arms([np.nan] * 3, [np.nan] * 3, paired=True, fail_value=fail_value)
    assert arms.reference.tolist() == [counted_as] * 3


def test_what_is_usable():
    largest = float(np.finfo(np.float32).max)
    assert all(map(usable, (0.0, -1e30, largest, -largest)))
    assert not any(map(usable, (np.inf, -np.inf, np.nan, 1e39)))


def test_the_largest_number_of_float32_is_no_failure():
    largest = float(np.finfo(np.float32).max)
    arms = read_arms([largest, 1.0], [np.nextafter(largest, np.inf), -largest], paired=True, fail_value=None)
    assert arms.reference_failed.tolist() == [False, False]
    assert arms.candidate_failed.tolist() == [True, False]
    assert [run.index for run in unusual_runs([largest, 1.0], [1.0, np.inf]) if run.kind == "failed"] == [1]


def test_leaves_the_callers_arrays_alone():
    x = np.array([1.0, np.nan, 3.0])
    arms = read_arms(x, x, paired=True, fail_value=None)
    assert np.isnan(x[1])
    x[0] = 5
    assert arms.reference[0] == 1.0


def test_takes_integers_booleans_and_float32():
    assert read_arms(np.array([1, 2]), [True, False], paired=True, fail_value=None).candidate.tolist() == [
        1.0,
        0.0,
    ]
    assert read_arms(np.float32([0.1, 2]), [1, 2], paired=True, fail_value=None).reference.dtype == np.float64


@pytest.mark.parametrize(
    "metric",
    ["accuracy", "val_acc", "AUC", "f1_score", "mean_io_u", "r2_score", "sparse_top_k_categorical_accuracy"],
)
def test_smaller_is_worse_for_accuracies(metric):
    assert fail_value_for(metric) == -np.inf


@pytest.mark.parametrize("metric", ["loss", "mse", "mae", "root_mean_squared_error", "kl_divergence"])
def test_larger_is_worse_for_losses(metric):
    assert fail_value_for(metric) == np.inf
