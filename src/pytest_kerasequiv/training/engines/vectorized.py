"""Engine ``vectorized``: all seeds in one program, checked against ``fit`` on the first steps of one seed."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.errors import InputError, error_in_words
from pytest_kerasequiv.keras_access.compile_state import mean_loss
from pytest_kerasequiv.keras_access.layers import layers_within
from pytest_kerasequiv.training.engines.evaluating import Evaluator
from pytest_kerasequiv.training.engines.fit import FitEngine
from pytest_kerasequiv.training.engines.shared_tensors import Tensors, packed, tensors_of
from pytest_kerasequiv.training.engines.stacked import NoGradient, Stacked
from pytest_kerasequiv.training.engines.support import unsupported
from pytest_kerasequiv.training.fitting import check_fits
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Run, failure_of
from pytest_kerasequiv.training.starts.drawing import Start, Starts
from pytest_kerasequiv.training.starts.reuse import blueprint, training_state

SECONDS_OF_A_PORTION = 1.0
CHECKED_STEPS = 3
TOLERANCE = 1e-4
"""Largest relative difference of the losses of the first steps: float32 rounding, before chaos sets in."""


class Unsupported(Exception):  # noqa: N818 - an answer, not an error
    """The twin cannot be trained by all seeds in one program; the message says why."""


class VectorizedEngine:
    """Trains one twin under many seeds at once; what it cannot train goes to engine ``fit``, with the reason.

    Args:
        source: makes fresh models of the twin.
        plan: how they are trained.
        side: ``"reference"`` or ``"candidate"``, for messages.
        starts: where the model starts under each seed, where somebody knows already.
        memory: bytes that the replicas of one program may take together.
    """

    def __init__(
        self,
        source: Source,
        plan: Training,
        side: str,
        *,
        starts: Starts | None = None,
        memory: int | None = None,
    ) -> None:
        self._source = source
        self._plan = plan
        self._side = side
        self._memory = memory
        self._start_points = starts if starts is not None else Starts(source, plan)
        self._fit = FitEngine(source, plan, side)
        self._because = ""
        self._model: keras.Model | None = None
        self._blueprint = ""
        self._stacked: Stacked | None = None
        self._held: list[Tensors] = []
        self._evaluator: Evaluator | None = None
        self._spare: dict[int, Run] = {}
        self._given: set[int] = set()
        self._most = 0
        self._expected: tuple[int, list[float]] = (0, [])
        self._checked = ""
        self._portion = 16

    @property
    def reason(self) -> str:
        """Why its engine was chosen, and how its results were made sure of."""
        if self._because:
            return f"fit and not vectorized, since {self._because}; {self._fit.reason}"
        return f"all seeds in one program; {self._checked}"

    def train(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Yield one run a seed, in this order.

        Raises:
            InputError: the model is not compiled, or the plan's data do not fit it.
        """
        for index, seed in enumerate(seeds):
            if seed not in self._spare and not self._because:
                self._train_from(seeds[index:])
            self._given.add(seed)
            yield self._spare.pop(seed) if seed in self._spare else self._fit.run(seed)

    def _train_from(self, seeds: Sequence[int]) -> None:
        """Train the first of these seeds, and as many more as one program takes."""
        try:
            chunk = self._chunk([seed for seed in seeds if seed not in self._spare])
            self._spare |= {run.seed: run for run in self._train_chunk(chunk)}
        except InputError:
            raise
        except (Unsupported, NoGradient) as why:
            self._give_up(str(why))
        except Exception as error:  # an operation that cannot be vectorized, or memory
            self._give_up(f"one program for all seeds failed ({error_in_words(error, 160)})")

    def _give_up(self, why: str) -> None:
        self._because = why
        self._model = self._stacked = self._evaluator = None
        self._held = []
        self._start_points.forget()

    def _chunk(self, asked: Sequence[int]) -> list[int]:
        """Choose the seeds of the next program: a share of those asked for, or as many as were traced for."""
        if self._model is None:
            self._open(asked[0])
        parts = math.ceil(len(asked) / self._most)
        share = math.ceil(len(asked) / parts)
        if self._stacked is None or share > 2 * self._stacked.replicas:
            return list(asked[:share])
        size = self._stacked.replicas
        more = [seed for seed in self._plan.seed_values if seed not in (*asked, *self._spare, *self._given)]
        return [*asked, *more][:size]

    def _open(self, seed: int) -> None:
        """Build the model that lends its layers, and let ``fit`` tell its first losses under ``seed``."""
        with training_state(seed):
            model = self._source.build()
            check_fits(model, self._plan, self._side)
            why = unsupported(model, self._plan)
            self._most = most_replicas(model, self._plan.batch_size, self._memory)
            if why or self._most < 2:
                raise Unsupported(why or "one replica alone fills the memory set aside")
            self._held = [tensors_of(self._plan, name) for name in ("train", "test")]
            self._blueprint = blueprint(model)
            self._expected = seed, first_losses(model, self._plan)
        self._model = model

    def _train_chunk(self, seeds: list[int]) -> list[Run]:
        started = time.perf_counter()
        replicas = max(len(seeds), self._stacked.replicas if self._stacked else 0)
        found, orders = self._starts(seeds, replicas)
        stacked = self._program(replicas)
        stacked.start([(start.weights, start.state) for start in found])
        digests = [start.digest for start in found]
        del found
        first = 0 if self._checked else self._check(stacked, orders[0], seeds)
        for order in orders:
            self._finish_epoch(stacked, order, first)
            first = 0
        runs = self._evaluated(stacked, seeds, started)
        return [replace(run, start=digest) for run, digest in zip(runs, digests, strict=False)]

    def _finish_epoch(self, stacked: Stacked, order: NDArray[np.int64], first: int) -> None:
        """Train the steps from ``first`` on in portions of about a second, between which Ctrl-C is heard."""
        while first < stacked.steps:
            last = min(first + self._portion, stacked.steps)
            started = time.perf_counter()
            stacked.advance(order, first, last)
            if time.perf_counter() - started < SECONDS_OF_A_PORTION / 2:
                self._portion *= 2
            first = last

    def _starts(self, seeds: Sequence[int], replicas: int) -> tuple[list[Start], list[NDArray[np.int64]]]:
        """Return where the model starts under each seed, and the rows of each epoch, one order a replica."""
        found = [self._start_points.take(seed) for seed in seeds]
        if any(start.blueprint != self._blueprint for start in found):
            raise Unsupported("its settings differ between seeds")
        found += found[-1:] * (replicas - len(seeds))  # more were traced for: the last seed is trained again
        rows, epochs = self._plan.train.samples, self._plan.epochs
        if not self._plan.shuffle:
            return found, [np.arange(rows)] * epochs
        return found, [np.stack([start.orders[epoch] for start in found]) for epoch in range(epochs)]

    def _program(self, replicas: int) -> Stacked:
        if self._stacked is None or self._stacked.replicas != replicas:
            self._stacked = Stacked(self._model, self._plan, replicas)
        return self._stacked

    def _check(self, stacked: Stacked, order: NDArray[np.int64], seeds: Sequence[int]) -> int:
        """Take the first steps, compare the losses of one seed with those of ``fit``, and return how many."""
        seed, losses = self._expected
        replica = seeds.index(seed)
        for step, expected in enumerate(losses):
            found = float(stacked.advance(order, step, step + 1)[replica])
            if not abs(found - expected) <= TOLERANCE * max(abs(expected), 1e-6):
                raise Unsupported(
                    f"it gave another loss than fit at step {step + 1} of seed {seed}: {found:.7g} for "
                    f"{expected:.7g}"
                )
        self._checked = f"the first {len(losses)} losses of seed {seed} agree with fit to {TOLERANCE:g}"
        return len(losses)

    def _evaluated(self, stacked: Stacked, seeds: Sequence[int], started: float) -> list[Run]:
        if self._evaluator is None:
            self._evaluator = Evaluator(self._model, self._plan)
        evaluate = self._evaluator
        weights, state = stacked.all_values()
        found = [
            evaluate([value[i] for value in weights], [value[i] for value in state])
            for i in range(len(seeds))
        ]
        seconds = (time.perf_counter() - started) / len(seeds)
        return [
            Run(seed, metrics, failure_of(metrics), constant, seconds, "vectorized")
            for seed, (metrics, constant) in zip(seeds, found, strict=True)
        ]


def first_losses(model: keras.Model, plan: Training) -> list[float]:
    """Train a model for its first steps as ``Model.fit`` does, and return the loss of each."""
    means = _means_of_fit(model, plan) if plan.shuffle else _means_of_steps(model, plan)
    rows = [min(plan.batch_size, plan.train.samples - step * plan.batch_size) for step in range(len(means))]
    sums = [mean * sum(rows[: step + 1]) for step, mean in enumerate(means)]
    return [(now - before) / size for now, before, size in zip(sums, [0.0, *sums], rows, strict=False)]


def _means_of_steps(model: keras.Model, plan: Training) -> list[float]:
    """Run ``train_step`` as it stands: to trace it, as ``fit`` does, would cost more than all the check."""
    data = tensors_of(plan, "train")
    means = []
    for begin in range(0, min(CHECKED_STEPS * plan.batch_size, plan.train.samples), plan.batch_size):
        batch = [array[begin : begin + plan.batch_size] for array in data.flat]
        model.train_step(packed(data.split, batch))
        means.append(mean_loss(model))
    return means


def _means_of_fit(model: keras.Model, plan: Training) -> list[float]:
    """Run ``fit``, whose order of rows is to be checked as well, and stop it early."""
    means: list[float] = []

    class Stop(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            means.append(float(logs["loss"]))
            self.model.stop_training = batch + 1 >= CHECKED_STEPS

    x, y, sample_weight = tensors_of(plan, "train").packed()
    model.fit(
        x,
        y,
        sample_weight=sample_weight,
        batch_size=plan.batch_size,
        shuffle=True,
        verbose=0,
        callbacks=[Stop()],
    )
    return means


BUDGET = 2 * 1024**3
"""Bytes set aside for all replicas together."""
_COPIES_OF_WEIGHTS = 6
_COPIES_OF_OUTPUTS = 6
_BYTES = 4


def most_replicas(model: keras.Model, batch_size: int, budget: int | None = None) -> int:
    """Estimate how many replicas fit into ``budget`` bytes, with slots, gradients and outputs."""
    weights = sum(_size(variable.shape) for variable in model.variables)
    kept = batch_size * sum(_outputs(layer) for layer in layers_within(model))
    replica = _BYTES * (_COPIES_OF_WEIGHTS * weights + _COPIES_OF_OUTPUTS * kept)
    return int((BUDGET if budget is None else budget) // max(replica, 1))


def _outputs(layer: Any) -> int:
    """Elements that one sample leaves at a layer for the backward pass, all steps of a recurrent one."""
    try:
        shapes = [tensor.shape[1:] for tensor in keras.tree.flatten(layer.output)]
    except (AttributeError, ValueError):  # a layer that is called by no functional model
        return 0
    elements = sum(_size(shape) for shape in shapes)
    if isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
        steps = keras.tree.flatten(layer.input)[0].shape[1] or 1  # the mask is an input too
        return 8 * steps * (elements if len(shapes[0]) == 1 else elements // steps)
    return elements


def _size(shape: Any) -> int:
    size = 1
    for axis in shape:
        size *= axis or 1
    return size
