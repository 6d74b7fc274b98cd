"""Engine ``fit``: plain ``Model.fit`` and ``Model.evaluate`` under each seed, as in a hand-written loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import keras
import tensorflow as tf

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.errors import InputError, error_in_words
from pytest_kerasequiv.keras_access.private_modules import global_state
from pytest_kerasequiv.training.data import Split
from pytest_kerasequiv.training.digests import digests_of, start_digest
from pytest_kerasequiv.training.engines.own_arrays import OwnArrays
from pytest_kerasequiv.training.engines.shared_tensors import Tensors, tensors_of
from pytest_kerasequiv.training.feeds import Feed, Handed, drawn_under, shown
from pytest_kerasequiv.training.fit_options import fresh_callbacks
from pytest_kerasequiv.training.fitting import check_fits
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Run, failure_of, predicts_a_constant
from pytest_kerasequiv.training.starts.reuse import (
    CannotReuse,
    blueprint,
    copy_start,
    foreign_part,
    python_state,
    training_state,
)
from pytest_kerasequiv.weights.variables import values_of


class FitEngine:
    """Trains one twin with ``Model.fit``, seed by seed, on one compiled model where that changes no result.

    Args:
        source: makes fresh models of the twin.
        plan: how they are trained.
        side: ``"reference"`` or ``"candidate"``, for messages.

    Attributes:
        instead: why it trains what another engine was to train.
    """

    name = "fit"

    def __init__(self, source: Source, plan: Training, side: str) -> None:
        self._source = source
        self._plan = plan
        self._side = side
        self._model: keras.Model | None = None
        self._blueprint = ""
        self._predict: Callable[..., Any] | None = None
        self._must_check = False
        self._held: list[Tensors] = []
        self._fresh_because = ""
        self._told = ""
        self.instead = ""
        self._own_is_checked = plan.fit is None
        if plan.fit is not None:
            self._stay_fresh("it trains with your own fit")

    @property
    def reason(self) -> str:
        """Why it trains, and how its results were made sure of."""
        return f"{self.instead}; {self._told}" if self.instead else self._told

    def train(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Yield one run a seed, in this order.

        Raises:
            InputError: the model is not compiled, or the plan's data do not fit it.
        """
        for seed in seeds:
            yield self.run(seed)

    def run(self, seed: int) -> Run:
        """Train under one seed: bit for bit what a user's build, compile, fit and evaluate give."""
        if not self._held and self._plan.fit is None:  # not to be copied for each run
            names = ("train", "test", "validation_data")
            arrays = [name for name in names if isinstance(getattr(self._plan, name), Split)]
            self._held = [tensors_of(self._plan, name) for name in arrays]
        if not self._own_is_checked:
            self._own_is_checked = True
            return self._first_of_own_fit(seed)
        if self._fresh_because:
            return train_fresh(self._source, self._plan, seed, self._side)
        if self._model is None:
            return self._first(seed)
        try:
            run = self._again(seed, self._model)
        except CannotReuse as why:
            return self._give_up(str(why), train_fresh(self._source, self._plan, seed, self._side))
        return self._checked(run) if self._must_check else run

    def _first_of_own_fit(self, seed: int) -> Run:
        """Train by the user's own loop; where that changes an array, see that the next run is none the worse.

        Raises:
            InputError: it is: what a run gives depends on how many were before.
        """
        arrays = OwnArrays(self._plan.fit)
        run = train_fresh(self._source, self._plan, seed, self._side)
        changed = arrays.changed()
        if changed and run.missing is None:
            again = train_fresh(self._source, self._plan, seed, self._side)
            if (again.metrics, again.failure) != (run.metrics, run.failure):
                raise InputError(
                    f"fit changes the array {changed[0]!r} in place, and gave another result when it was "
                    f"called again under seed {seed}: later runs would train on other data than earlier "
                    "ones. Let it work on a copy, and draw only from generators that follow the seed"
                )
        return run

    def _first(self, seed: int) -> Run:
        started = time.perf_counter()
        with training_state(seed):
            model = self._source.build()
            check_fits(model, self._plan, self._side)
            self._blueprint, before = blueprint(model), python_state(model)
            run = finish(model, self._plan, seed, started)
            self._keep(model, before, run)
        return run

    def _keep(self, model: keras.Model, before: list[Any], run: Run) -> None:
        """Keep the model for further seeds, unless something speaks against it."""
        if python_state(model) != before:
            self._give_up("a layer of yours keeps state in Python attributes", run)
        elif _uses_global_generator():
            self._give_up("it draws from Keras's global seed generator", run)
        elif run.failure is None or run.metrics:
            foreign = foreign_part(model)
            self._must_check = foreign is not None or self._plan.callbacks is not None
            self._model = model
            self._told = "one compiled model, put back to its start for each seed"
            if not self._must_check:
                self._told += "; all its parts are Keras's own"

    def _again(self, seed: int, model: keras.Model) -> Run:
        started = time.perf_counter()
        with training_state(seed):
            fresh = self._source.build()
            if blueprint(fresh) != self._blueprint:
                raise CannotReuse("its settings differ between seeds")
            copy_start(fresh, model)
            del fresh
            return finish(model, self._plan, seed, started, self._predictor(model))

    def _predictor(self, model: keras.Model) -> Callable[..., Any]:
        if self._predict is None:
            self._predict = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
        return self._predict

    def _checked(self, run: Run) -> Run:
        """Compare the first run of the reused model with a fresh one, bit by bit."""
        self._must_check = False
        fresh = train_fresh(self._source, self._plan, run.seed, self._side)
        if (fresh.metrics, fresh.failure) != (run.metrics, run.failure):
            return self._give_up(f"a reused model gave another result under seed {run.seed}", fresh)
        self._told += f"; checked under seed {run.seed}: a fresh model gave the same bits"
        return replace(run, seconds=run.seconds + fresh.seconds)

    def _give_up(self, why: str, run: Run) -> Run:
        self._stay_fresh(why)
        return run

    def _stay_fresh(self, why: str) -> None:
        self._fresh_because = why
        self._model = self._predict = None
        self._told = f"built fresh for every seed, since {why}"


def train_fresh(source: Source, plan: Training, seed: int, side: str = "reference") -> Run:
    """Train one freshly built model.

    Bit for bit what ``keras.utils.set_random_seed(seed)``, build, compile, ``fit`` and ``evaluate`` give.

    Raises:
        InputError: the model is not compiled, or the plan's data do not fit it.
    """
    started = time.perf_counter()
    with training_state(seed):
        model = source.build()
        check_fits(model, plan, side)
        return finish(model, plan, seed, started)


def finish(
    model: keras.Model, plan: Training, seed: int, started: float, predict: Callable[..., Any] | None = None
) -> Run:
    """Train and evaluate a model that stands at its start.

    What its code raises makes a failed run; what the machine refuses, such as memory, a missing one.
    """
    digests = digests_of(values_of(model))
    run = Run(seed, start=start_digest(digests))
    try:
        metrics = _train(model, plan, seed)
    except InputError:
        raise
    except _MACHINES_FAULT as error:
        return replace(run, missing=error_in_words(error, 160), seconds=time.perf_counter() - started)
    except (Exception, SystemExit) as error:  # one crashed run must not cost the others
        return replace(run, failure=error_in_words(error, 160), seconds=time.perf_counter() - started)
    if plan.fit is not None:
        run = replace(run, untrained=digests == digests_of(values_of(model)))
    else:
        run = replace(run, constant=predicts_a_constant(predict or _plainly(model), shown(plan.test).x))
    seconds = time.perf_counter() - started
    return replace(run, metrics=metrics, failure=failure_of(metrics), seconds=seconds)


_MACHINES_FAULT = (
    MemoryError,
    tf.errors.ResourceExhaustedError,
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
)


def _plainly(model: keras.Model) -> Callable[..., Any]:
    return lambda x: model(x, training=False)


def _train(model: keras.Model, plan: Training, seed: int) -> dict[str, float]:
    if plan.fit is not None:
        return numbers_of(plan.fit(model, seed))
    with (
        drawn_under(seed) if plan.feeds else nullcontext()
    ):  # what data draw is the seed's, not the builder's
        x, y, sample_weight, steps, class_weight = handed(plan, "train", seed)
        model.fit(
            x,
            y,
            sample_weight=sample_weight,
            steps_per_epoch=plan.steps_per_epoch or steps,
            class_weight=class_weight,
            **_as_arrays(plan),
            epochs=plan.epochs,
            callbacks=fresh_callbacks(plan.callbacks),
            **_validation(plan, seed),
            verbose=0,
        )
        x, y, sample_weight, steps, _ = handed(plan, "test", seed)
        found = model.evaluate(x, y, sample_weight=sample_weight, steps=steps, verbose=0, return_dict=True)
    return {name: float(value) for name, value in found.items()}


def handed(plan: Training, name: str, seed: int) -> Handed:
    """Return the data ``name`` of a plan as ``fit`` and ``evaluate`` take them in the run of a seed."""
    data = getattr(plan, name)
    return data.handed(seed) if isinstance(data, Feed) else Handed(*tensors_of(plan, name).packed())


def _as_arrays(plan: Training) -> dict[str, Any]:
    """Return what cuts arrays into batches; data in batches come as they are."""
    if isinstance(plan.train, Feed) and not plan.train.is_function:
        return {"shuffle": plan.shuffle and plan.train.is_py_dataset}
    return {"batch_size": plan.batch_size, "shuffle": plan.shuffle, "validation_split": plan.validation_split}


def _validation(plan: Training, seed: int) -> dict[str, Any]:
    if plan.validation_data is None:
        return {}
    x, y, sample_weight, steps, _ = handed(plan, "validation_data", seed)
    given = x if y is None else (x, y) if sample_weight is None else (x, y, sample_weight)
    return {"validation_data": given, "validation_steps": plan.validation_steps or steps}


def numbers_of(metrics: Any) -> dict[str, float]:
    """Read what the user's own training loop returned.

    Raises:
        InputError: it is no dict of numbers.
    """
    if not isinstance(metrics, Mapping) or not metrics:
        raise InputError(
            f"fit returned {metrics!r}; it must return its metrics as a dict of numbers, such as "
            f"{{'mae': 0.3}}"
        )
    try:
        return {str(name): float(value) for name, value in metrics.items()}
    except (TypeError, ValueError) as error:
        raise InputError(
            f"fit returned {metrics!r}, in which a value is no number ({error}); return a dict of numbers"
        ) from error


def _uses_global_generator() -> bool:
    """Tell whether a random number was drawn without a seed of its own since ``set_random_seed``."""
    return global_state.get_global_attribute("global_seed_generator") is not None
