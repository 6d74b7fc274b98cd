"""Training on executors: same results, workers that die, builders that cannot be shipped."""

import os
import signal
import threading
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import training
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.engines.fit import FitEngine, train_fresh
from pytest_kerasequiv.training.executors import remote, waiting
from pytest_kerasequiv.training.executors.pools import LocalProcesses, executor_for
from pytest_kerasequiv.training.executors.remote import RETRIES, RemoteArm, workers_of
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Run, Runs
from pytest_kerasequiv.verdict import Verdict

X = np.random.default_rng(0).normal(size=(24, 4)).astype("float32")
DATA = ((X, X[:, :1]), (X[:8], X[:8, :1]))


def make():
    import keras

    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.2), keras.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=["mae"])
    return model


def killing(folder, times):
    """Make a training loop whose worker is killed by SIGKILL the first times that seed 2 is trained."""

    def fit(model, seed):
        if seed == 2 and len(os.listdir(folder)) < times:  # noqa: PTH208
            open(f"{folder}/{len(os.listdir(folder))}", "w").close()  # noqa: PTH123, PTH208
            os.kill(os.getpid(), signal.SIGKILL)
        return {"mae": float(seed)}

    return fit


class Immediate:
    """An executor in this thread, whose first tasks die as if their worker had."""

    workers = 2

    def __init__(self, deaths=0):
        self.deaths = deaths
        self.tasks = []

    def submit(self, task, *arguments):
        future: Future[Any] = Future()
        self.tasks.append(arguments[1])
        if self.deaths:
            self.deaths -= 1
            future.set_exception(WorkerLostError("a child process terminated abruptly"))
        else:
            future.set_result(task(*arguments))
        return future


class WorkerLostError(BrokenExecutor):
    pass


def echo(model, seed):
    return {"mae": float(seed)}


def arm_on(executor, source_of, plan, build=make):
    return RemoteArm(source_of(build), plan, "reference", executor)


def test_chunks_of_seeds_come_back_in_order(source_of):
    executor = Immediate()
    runs = list(arm_on(executor, source_of, Training(fit=echo)).train([5, 1, 9, 2, 7]))
    assert [run.metrics["mae"] for run in runs] == [5, 1, 9, 2, 7]
    assert executor.tasks == [(5,), (1,), (9,), (2,), (7,)]


@pytest.mark.parametrize("deaths", [1, RETRIES])
def test_a_task_is_sent_again_after_its_worker_died(source_of, deaths):
    arm = arm_on(Immediate(deaths), source_of, Training(fit=echo))
    assert [run.metrics["mae"] for run in arm.train([3])] == [3]
    assert f"{deaths} tasks were sent again" in arm.reason


def test_but_not_for_ever_and_what_is_missing_is_no_failure(source_of):
    [run] = arm_on(Immediate(RETRIES + 1), source_of, Training(fit=echo)).train([3])
    assert run.failure is None
    assert run.missing == "the task did not finish: WorkerLostError: a child process terminated abruptly"


def test_bad_input_found_by_a_worker_is_raised_here(source_of):
    plan = Training(fit=lambda model, seed: "low")  # type: ignore[return-value]
    with pytest.raises(InputError, match="fit returned 'low'"):
        list(arm_on(Immediate(), source_of, plan).train([1]))


def test_a_builder_that_cannot_be_shipped(source_of):
    lock = threading.Lock()

    def build():
        return make() if lock else None

    with pytest.raises(InputError, match=r"the reference '.*build' cannot be shipped.*importable module"):
        arm_on(Immediate(), source_of, Training(*DATA), build)


def test_an_own_loop_that_cannot_be_shipped(source_of):
    lock = threading.Lock()
    plan = Training(fit=lambda model, seed: {"a": lock})  # type: ignore[dict-item]
    with pytest.raises(InputError, match="the training plan cannot be shipped"):
        arm_on(Immediate(), source_of, plan)


def test_any_executor_will_do(source_of):
    with ThreadPoolExecutor(1) as executor:
        assert workers_of(executor) == 1
        [run] = arm_on(executor, source_of, Training(fit=echo)).train([4])
    assert run.metrics == {"mae": 4.0}


@pytest.fixture(scope="module")
def processes():
    executor = LocalProcesses(2)
    yield executor
    executor.shutdown()


def test_two_processes_train_the_same_bits(processes, source_of):
    plan = Training(*DATA, seeds=4, engine="fit")
    runs = list(arm_on(processes, source_of, plan).train(plan.seed_values))
    assert [run.seed for run in runs] == [0, 1, 2, 3]
    assert runs[3].metrics == pytest.approx(train_fresh(source_of(make), plan, 3).metrics, rel=1e-6)


def test_a_killed_process_costs_no_run(processes, source_of, tmp_path):
    plan = Training(fit=killing(str(tmp_path), 1), seeds=4)
    arm = arm_on(processes, source_of, plan)
    assert [run.metrics for run in arm.train(plan.seed_values)] == [{"mae": float(seed)} for seed in range(4)]
    assert "sent again" in arm.reason


def test_a_run_that_always_kills_its_process_is_missing(source_of, tmp_path, monkeypatch):
    monkeypatch.setattr(remote, "RETRIES", 1)
    plan = Training(fit=killing(str(tmp_path), 99), seeds=2)
    executor = LocalProcesses(1)  # started anew each time
    runs = list(arm_on(executor, source_of, plan).train([2]))
    executor.shutdown()
    assert "TerminatedWorkerError" in runs[0].missing
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("workers", ["many", "0", "-2", "1.5"])
def test_workers_that_cannot_be_read(workers):
    with pytest.raises(InputError, match="neither a number of processes nor a Dask address"):
        executor_for(workers)


def test_a_number_of_workers_is_a_pool():
    assert workers_of(executor_for("3")) == 3


def test_a_scheduler_that_does_not_answer():
    pytest.importorskip("distributed")
    from pytest_kerasequiv.training.executors import pools as executors

    with pytest.raises(InputError, match="no Dask scheduler answers there"):
        executors._dask_client("tcp://127.0.0.1:9", timeout=1)


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of two processes, as an executor."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as made:
        client = executor_for(made.scheduler_address)
        yield client
        client.close()


def test_a_dask_cluster_trains_from_the_starts_of_this_process(source_of, cluster):
    """Its event loop draws from Python's ``random`` in the process that builds."""
    plan = Training(*DATA, seeds=6, engine="fit")
    expected = list(FitEngine(source_of(make), plan, "reference").train(plan.seed_values))
    runs = list(arm_on(cluster, source_of, plan).train(plan.seed_values))
    assert [run.start for run in runs] == [run.start for run in expected]
    for run, same in zip(runs, expected, strict=True):
        assert run.metrics == pytest.approx(same.metrics, rel=1e-6)


def test_a_dask_cluster_survives_a_killed_worker(source_of, cluster, tmp_path):
    plan = Training(fit=killing(str(tmp_path), 1), seeds=4)
    found = [run.metrics for run in arm_on(cluster, source_of, plan).train(plan.seed_values)]
    assert found == [{"mae": float(seed)} for seed in range(4)]
    assert len(list(tmp_path.iterdir())) == 1


class Elsewhere(Immediate):
    """An executor whose first tasks start elsewhere, as where something drew between the seeds of layers."""

    def submit(self, task, *arguments):
        strays, self.deaths = self.deaths, 0
        future = super().submit(task, *arguments)
        if strays:
            self.deaths = strays - 1
            runs, reason = future.result()
            future = Future()
            future.set_result(([{**run, "start": "other", "metrics": {"mae": 99.0}} for run in runs], reason))
        return future


def test_a_run_that_started_elsewhere_is_trained_again(source_of):
    arm = arm_on(Elsewhere(1), source_of, Training(fit=echo))
    assert [run.metrics for run in arm.train([3])] == [{"mae": 3.0}]


def test_and_is_missing_where_that_never_ends(source_of):
    [run] = arm_on(Elsewhere(99), source_of, Training(fit=echo)).train([3])
    assert (run.metrics, run.failure) == ({}, None)
    assert "another start of this seed" in run.missing


def test_a_builder_that_no_seed_fixes_is_not_held_to_its_start(source_of):
    def build():
        import os

        import keras
        import numpy as np

        model = make()
        start = np.frombuffer(os.urandom(4), "uint8").astype("float32").reshape(4, 1)
        model.layers[-1].kernel.assign(keras.ops.convert_to_tensor(start))
        return model

    arm = arm_on(Immediate(), source_of, Training(fit=echo), build)
    assert [run.metrics for run in arm.train([3])] == [{"mae": 3.0}]
    assert "one seed gives the builder several starts" in arm.reason


class Silent:
    """An executor that takes tasks and never finishes one."""

    def __init__(self, workers):
        self._alive = dict.fromkeys(range(workers), 1)
        self.tasks = []

    def nthreads(self):
        return self._alive

    def submit(self, task, *arguments):
        self.tasks.append(Future())
        return self.tasks[-1]


@pytest.mark.parametrize(
    ("workers", "limit", "told"),
    [
        (0, "WITHOUT_WORKERS", "Silent had no worker for"),
        (2, "WITHOUT_RESULT", "Silent finished nothing for"),
    ],
)
def test_no_stall_is_silent_nor_for_ever(source_of, monkeypatch, workers, limit, told):
    monkeypatch.setattr(waiting, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(waiting, "SAY_AFTER", 0.05)
    monkeypatch.setattr(waiting, limit, 0.3)
    said: list[Any] = []
    executor = Silent(workers)
    arm = RemoteArm(source_of(make), Training(fit=echo), "reference", executor, say=said.append)
    runs = list(arm.train(range(4)))
    assert [told in run.missing for run in runs] == [True] * 4
    assert said[0].startswith("Silent has")
    assert all(task.cancelled() for task in executor.tasks)


def test_a_stall_that_nobody_watches_is_logged_once(source_of, monkeypatch, caplog):
    monkeypatch.setattr(waiting, "SECONDS_BETWEEN_LOOKS", 0.01)
    monkeypatch.setattr(waiting, "SAY_AFTER", 0.05)
    monkeypatch.setattr(waiting, "WITHOUT_WORKERS", 0.3)
    list(arm_on(Silent(0), source_of, Training(fit=echo)).train([1]))
    assert [record.name for record in caplog.records] == ["pytest_kerasequiv"]


def test_what_the_machine_refuses_is_missing_and_what_the_code_raises_has_failed(source_of):
    def fit(model, seed):
        if seed == 1:
            raise MemoryError
        if seed == 2:
            raise SystemExit(3)
        return {"mae": 1.0}

    one, two, three = arm_on(Immediate(), source_of, Training(fit=fit)).train([1, 2, 3])
    assert (one.failure, two.missing, three.missing) == (None, None, None)
    assert one.missing == "MemoryError"
    assert two.failure == "SystemExit: 3"


def test_missing_runs_are_inconclusive_and_name_the_remedy():
    runs = Runs(tuple(Run(seed, {"mae": 1.0 + seed}) for seed in range(10)))
    gone = Runs(tuple(Run(seed, missing="the task did not finish: KilledWorker") for seed in range(10)))
    result = training.compare_runs(runs, gone, Training(*DATA, seeds=10))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "10 of 10 candidate runs are missing" in result.findings[0].message
    assert "Mend that and run again" in result.findings[0].message
    assert result.figures["missing"]["candidate"]["3"] == "the task did not finish: KilledWorker"


def test_an_executor_that_dies_in_mid_training_never_makes_twins_different(monkeypatch):
    """The candidate's tasks die, all of them."""

    class Dying(Immediate):
        def submit(self, task, *arguments):
            self.deaths = 99 if len(self.tasks) >= 2 else 0
            return super().submit(task, *arguments)

    other = lambda: make()  # noqa: E731, PLW0108 - another builder of the same model
    plan = Training(fit=echo, seeds=10)
    result = training.CHECK(Pair(Twins(make, other)), training=plan, executor=Dying())
    assert result.verdict is Verdict.INCONCLUSIVE


def test_threads_of_one_process_take_turns(source_of):
    plan = Training(*DATA, seeds=4, engine="fit")
    with ThreadPoolExecutor(2) as executor:
        runs = list(arm_on(executor, source_of, plan).train(plan.seed_values))
    expected = FitEngine(source_of(make), plan, "reference").train(plan.seed_values)
    assert [run.metrics for run in runs] == [run.metrics for run in expected]


def test_fit_gets_small_tasks_and_one_program_large_ones(source_of):
    small, large = Immediate(), Immediate()
    list(arm_on(small, source_of, Training(fit=echo, seeds=16)).train(range(16)))
    assert {len(task) for task in small.tasks} == {2}
    plan = Training(*DATA, seeds=6, batch_size=8)
    list(arm_on(large, source_of, plan).train(plan.seed_values))
    assert [len(task) for task in large.tasks] == [3, 3]


def test_threads_of_this_process_work_only_while_it_waits(source_of):
    """What it does meanwhile would draw from the same random state."""

    class Counting(ThreadPoolExecutor):
        tasks = 0

        def submit(self, *task):
            self.tasks += 1
            return super().submit(*task)

    with Counting(2) as executor:
        runs = arm_on(executor, source_of, Training(fit=echo)).train(range(16))
        assert next(runs).metrics == {"mae": 0.0}
        assert executor.tasks == 1
        assert [run.seed for run in runs] == list(range(1, 16))
        assert executor.tasks > 1


class OnItsWay:
    """What Dask's future is while its task has been done and its result is fetched, or computed once more."""

    def __init__(self, status, looks):
        self.status = status
        self._looks = looks

    def done(self):
        return True

    def result(self, timeout):
        self._looks -= 1
        if self._looks > 0 or self.status == "error":
            raise TimeoutError("no result within a second")
        return "result"


def test_a_result_that_is_on_its_way_is_waited_for():
    patience = waiting.Patience(Silent(1), None)
    future = OnItsWay("finished", looks=3)
    assert patience.result(future, [future]) == "result"


def test_a_task_that_raises_a_time_out_of_its_own_has_ended():
    patience = waiting.Patience(Silent(1), None)
    ended: Future[Any] = Future()
    ended.set_exception(TimeoutError("of the task"))
    for future in (OnItsWay("error", looks=3), ended):
        with pytest.raises(TimeoutError):
            patience.result(future, [future])
