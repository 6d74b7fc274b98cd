"""Repeated training end to end on small twins, and its decision on made-up runs."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import training
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Run, Runs
from pytest_kerasequiv.verdict import Evidence, Kind, Report, Verdict


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(80, 4)).astype("float32")
    y = x.sum(axis=1, keepdims=True)
    return (x[:64], y[:64]), (x[64:], y[64:])


def compiled(model):
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def sequential(rate=0.2, units=8):
    return compiled(
        keras.Sequential(
            [keras.Input((4,)), layers.Dense(units, activation="relu"), layers.Dropout(rate), layers.Dense(1)]
        )
    )


def functional():
    x = keras.Input((4,))
    hidden = layers.Dense(8, activation="relu")(x)
    hidden = layers.Dropout(0.2)(
        hidden
    )  # made after the Dense, as in `sequential`: layers draw seeds when made
    return compiled(keras.Model(x, layers.Dense(1)(hidden)))


def pair(reference, candidate):
    return Pair(Twins(reference, candidate))


def made_up(values, failure=None):
    runs = [Run(seed, {"mae": float(value)}) for seed, value in enumerate(values)]
    return Runs(tuple(runs), "made up")


def plan_of(**options):
    return Training(fit=len, **options)


def test_twins_of_one_program_differ_by_exactly_nothing(data):
    result = training.CHECK(pair(sequential, functional), training=Training(*data))
    assert (result.verdict, result.evidence) == (Verdict.EQUIVALENT, Evidence.STATISTICAL)
    mae = result.figures["metrics"]["mae"]
    assert mae["difference"] == 0
    assert mae["reference"]["values"] == mae["candidate"]["values"]
    assert not result.differences


def test_equal_twins_stop_at_the_first_look(data):
    result = training.CHECK(pair(sequential, functional), training=Training(*data))
    assert (result.figures["n"], result.figures["planned"], result.figures["looks"]) == (10, 20, [10, 15, 20])


def test_a_clear_difference_is_found_and_named(data):
    plan = Training(*data, epochs=6, seeds=9, metrics=["mae"], margin=1e-3)
    result = training.CHECK(pair(sequential, lambda: sequential(rate=0.9)), training=plan)
    assert result.verdict is Verdict.DIFFERENT
    [finding] = result.differences
    assert finding.field == "mae"
    assert finding.message.startswith("mae: DIFFERENT; ")
    assert "margin 0.001" in finding.message
    assert "90 % interval" in finding.message


def test_runs_are_interleaved_by_seed(data):
    order = []

    def fit(side):
        def build():
            order.append(side)
            return sequential()

        return build

    twins = pair(fit("reference"), fit("candidate"))
    _ = twins.twins.reference, twins.twins.candidate
    order.clear()
    training.CHECK(twins, training=Training(seeds=3, fit=lambda model, seed: {"a": seed}))
    assert order == ["reference", "candidate"] * 3


def test_a_late_crash_keeps_the_finished_runs(data):
    def fit(model, seed):
        if seed == 2 and "crash" in model.name:
            raise RuntimeError("too large")
        return {"mae": 1.0 + seed / 100}

    def crashing():
        return keras.Sequential([keras.Input((4,)), layers.Dense(1)], name="crash")

    result = training.CHECK(pair(sequential, crashing), training=Training(seeds=4, fit=fit))
    assert result.figures["failed"] == {"reference": {}, "candidate": {"2": "RuntimeError: too large"}}
    assert result.figures["metrics"]["mae"]["candidate"]["failed"] == 1
    assert any("1 of 4 candidate runs failed (seed 2): RuntimeError" in note.message for note in result.notes)


def test_where_every_run_crashes_there_is_no_verdict(data):
    def fit(model, seed):
        raise RuntimeError("no data today")

    result = training.CHECK(pair(sequential, functional), training=Training(seeds=3, fit=fit))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "no data today" in result.findings[0].message


def test_a_metric_that_evaluate_does_not_return(data):
    with pytest.raises(InputError, match=r"metrics names 'rmse'.* it returns loss, mae"):
        training.CHECK(pair(sequential, functional), training=Training(*data, metrics=["rmse"]))


def test_twins_with_different_metrics(data):
    def other():
        model = sequential()
        model.compile("sgd", "mse", metrics=["mape"])
        return model

    with pytest.raises(InputError, match=r"different metrics.*metrics=\['loss'\]"):
        training.CHECK(pair(sequential, other), training=Training(*data))


def test_progress_is_told_at_the_start_and_after_every_pair_of_runs():
    seen: list[Any] = []
    plan = Training(seeds=3, fit=lambda model, seed: {"a": seed})
    training.CHECK(pair(sequential, functional), training=plan, progress=seen.append)
    assert [(step.done, step.total) for step in seen] == [(0, 6), (2, 6), (4, 6), (6, 6)]
    assert seen[0].message == "next look at 3 runs each"


def test_collapsed_runs_are_described():
    good = [Run(seed, {"mae": 1 + seed / 100}) for seed in range(20)]
    collapsed = [Run(run.seed, run.metrics, constant=run.seed in (3, 7, 11)) for run in good]
    result = training.compare_runs(Runs(tuple(good)), Runs(tuple(collapsed)), Training(fit=len))
    [note] = [note for note in result.notes if note.field == "constant"]
    assert "3 of 20 candidate runs predict a constant (seed 3, 7 and 11)" in note.message


def test_one_twin_alone_is_trained(data):
    alone = pair(sequential, functional).reference_twin
    [portion] = training.plan(alone, training=Training(*data, seeds=[4, 9]))
    runs = training.observe(alone, portion)
    assert runs.seeds == (4, 9)
    assert runs.metric_names == ("loss", "mae")


def test_too_few_runs_are_inconclusive_and_say_what_to_do():
    rng = np.random.default_rng(1)
    result = training.compare_runs(
        made_up(1 + rng.normal(size=5)), made_up(1 + rng.normal(size=5)), Training(fit=len, seeds=5)
    )
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.evidence is None
    assert "runs" in result.notes[0].message


def test_the_decision_has_a_picture(tmp_path):
    rng = np.random.default_rng(1)
    values = 1 + rng.normal(size=12)
    result = training.compare_runs(made_up(values), made_up(values + 9), Training(fit=len, seeds=12))
    assert result.verdict is Verdict.DIFFERENT
    assert result.plot(tmp_path / "mae.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_a_twin_that_is_not_compiled_is_refused_before_any_run(side, data):
    def bare():
        return keras.Sequential([keras.Input((4,)), layers.Dense(1)])

    builders = (bare, lambda: compiled(bare()))
    twins = Twins(*(builders if side == "reference" else reversed(builders)))
    with pytest.raises(InputError, match=f"the {side} .* is not compiled, so it cannot be trained"):
        training.CHECK(Pair(twins), training=Training(*data, seeds=2))


def test_an_own_fit_that_trains_nothing_is_told(data):
    def lazy(model, seed):
        return {"mae": 1.0 + seed}

    def diligent(model, seed):
        model.fit(*data[0], verbose=0)
        return lazy(model, seed)

    told = training.CHECK(pair(sequential, functional), training=Training(seeds=3, fit=lazy))
    assert "3 of 3 reference runs left every weight as it was" in str(told.notes)
    told = training.CHECK(pair(sequential, functional), training=Training(seeds=3, fit=diligent))
    assert "left every weight" not in str(told.notes)


def test_a_run_far_from_the_others_is_told():
    values = 1 + 0.1 * np.random.default_rng(2).normal(size=12)
    astray = [*values[:-1], 50.0]
    result = training.compare_runs(made_up(values), made_up(astray), Training(fit=len, seeds=12))
    assert "1 of 12 candidate runs far from the others: run 11 (50)" in str(result.notes)


def test_the_luck_of_a_single_run_is_told_for_every_metric():
    runs = made_up(np.random.default_rng(0).normal(4, 0.3, 20))
    result = training.compare_runs(runs, runs, plan_of(observed={"mae": (3.96, 4.49)}))
    luck = result.figures["metrics"]["mae"]["luck"]
    assert luck["gap"] == pytest.approx(0.53)
    assert 0 < luck["share_interval"][0] < luck["share"] < luck["share_interval"][1] < 1
    result = replace(result, kind=Kind.STATISTICAL)
    text = " ".join(str(Report("pair", result.verdict, result.evidence, {"training": result})).split())
    assert "two single runs of the reference differ by" in text
    assert "you saw 3.96 against 4.49" in text


def test_failed_runs_count_as_the_worst_value_in_the_luck_of_a_single_run():
    values = np.linspace(1, 2, 20)
    failed = Runs(
        tuple(Run(seed, {"mae": np.nan if seed == 4 else value}) for seed, value in enumerate(values))
    )
    luck = training.compare_runs(failed, failed, plan_of(seeds=20)).figures["metrics"]["mae"]["luck"]
    assert luck["observed"] is None
    assert max(luck["differences"]) == pytest.approx(max(values[: luck["n"]]) - 1.0)


def test_a_value_seen_of_a_metric_that_is_not_compared_is_refused():
    runs = made_up(np.linspace(1, 2, 20))
    with pytest.raises(InputError, match="observed names 'mea', which is no metric here; choose from mae"):
        training.compare_runs(runs, runs, plan_of(observed={"mea": (3.96, 4.49)}))
