"""Engine ``fit``: plain ``Model.fit`` and ``Model.evaluate`` under each seed, as in a hand-written loop."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.models.seeds import preserved_world
from pytest_kerasequiv.training.collapse import predicts_a_constant
from pytest_kerasequiv.training.fitting import check_fits
from pytest_kerasequiv.training.runs import Run, failure_of

if TYPE_CHECKING:
    import keras

    from pytest_kerasequiv.models.sources import Source
    from pytest_kerasequiv.training.plan import Training


@contextmanager
def training_world() -> Iterator[None]:
    """Run trainings and leave the caller's world as it was.

    On a CPU, Keras training repeats bit by bit as it is, so the op-determinism flag stays as the caller has
    it and
    the results are those of the caller's own loop. Kernels of a GPU repeat only under op determinism.
    """
    import tensorflow as tf

    with preserved_world():
        if tf.config.list_logical_devices("GPU"):
            tf.config.experimental.enable_op_determinism()
        yield


def train_fresh(source: Source, plan: Training, seed: int, side: str = "reference") -> Run:
    """Train one freshly built model.

    Bit for bit what ``keras.utils.set_random_seed(seed)``, build, compile, ``fit`` and ``evaluate`` give.

    Raises:
        InputError: the model is not compiled, or the plan's data do not fit it.
    """
    import keras

    started = time.perf_counter()
    with training_world():
        keras.utils.set_random_seed(seed)
        model = source.build()
        check_fits(model, plan, side)
        return finish(model, plan, seed, started)


def finish(model: keras.Model, plan: Training, seed: int, started: float) -> Run:
    """Train and evaluate a model that stands at its start; what it raises makes a failed run."""
    try:
        metrics = _train(model, plan, seed)
    except InputError:
        raise
    except Exception as error:  # one crashed run must not cost the others
        return Run(seed, failure=_in_short(error), seconds=time.perf_counter() - started)
    constant = plan.fit is None and predicts_a_constant(model, plan.test.x)
    return Run(seed, metrics, failure_of(metrics), constant, time.perf_counter() - started)


def _train(model: keras.Model, plan: Training, seed: int) -> dict[str, float]:
    if plan.fit is not None:
        return numbers_of(plan.fit(model, seed))
    train, test = plan.train, plan.test
    model.fit(
        train.x,
        train.y,
        sample_weight=train.sample_weight,
        batch_size=plan.batch_size,
        epochs=plan.epochs,
        shuffle=plan.shuffle,
        verbose=0,
    )
    found = model.evaluate(test.x, test.y, sample_weight=test.sample_weight, verbose=0, return_dict=True)
    return {name: float(value) for name, value in found.items()}


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


def _in_short(error: Exception) -> str:
    """First line of an error, short enough for a report."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line}"[:200].rstrip(": ")
