"""What a training gives: one `Run` a seed, `Runs` of one twin, and the progress on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import NoneType
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Run:
    """One seeded training of one twin.

    Attributes:
        seed: its seed.
        metrics: metric name -> value on the test data; empty where the run raised.
        failure: why the run counts as failed (an exception, NaN or infinite metrics), or ``None``.
        constant: whether the trained model predicts one value for all test inputs (a collapsed run).
        seconds: wall time spent on it.
        engine: what trained it, ``"fit"`` or ``"vectorized"``.
        origin: ``"trained"`` now, read from the ``"cache"`` or ``"shared"`` with the proved twin.
        untrained: whether the user's own ``fit`` left every weight as it was.
        missing: why the machines did not finish it, ``None`` where they did.
        start: digest of the values that it started from, see `training.digests`.
    """

    seed: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None
    constant: bool = False
    seconds: float = 0.0
    engine: str = "fit"
    origin: str = "trained"
    untrained: bool = False
    missing: str | None = None
    start: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Return the run as plain data; NaN stays NaN."""
        return {**vars(self), "metrics": dict(self.metrics)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Run:
        """Read what `to_dict` wrote.

        Raises:
            ValueError: it is something else.
        """
        names = {field.name for field in fields(cls)}
        if not isinstance(data, dict) or set(data) != names or not all(map(_is_typed, data.items())):
            raise ValueError("no run")
        return cls(**data)


_TYPES: Mapping[str, tuple[type, ...]] = {
    "seed": (int,),
    "metrics": (dict,),
    "failure": (str, NoneType),
    "constant": (bool,),
    "seconds": (float, int),
    "engine": (str,),
    "origin": (str,),
    "untrained": (bool,),
    "missing": (str, NoneType),
    "start": (str,),
}


def _is_typed(item: tuple[str, Any]) -> bool:
    """Tell whether a field of a run that was read has its type, the metrics theirs."""
    name, value = item
    if name == "metrics" and isinstance(value, dict):
        return all(isinstance(key, str) and type(one) is float for key, one in value.items())
    return type(value) in _TYPES[name]


@dataclass(frozen=True)
class Runs:
    """The runs of one twin, in the order of their seeds.

    Attributes:
        runs: one entry a seed.
        reason: why they were made by this engine, and how its results were made sure of.
        coupled: whether each starts from the other twin's weights under its seed.
    """

    runs: tuple[Run, ...]
    reason: str = ""
    coupled: bool = False

    @property
    def engine(self) -> str:
        """What trained them."""
        return " and ".join(sorted({run.engine for run in self.runs}))

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, one a run."""
        return tuple(run.seed for run in self.runs)

    @property
    def failures(self) -> dict[int, str]:
        """Seed -> reason of each failed run."""
        return {run.seed: run.failure for run in self.runs if run.failure is not None}

    @property
    def missing(self) -> dict[int, str]:
        """Seed -> why the machines did not finish its run."""
        return {run.seed: run.missing for run in self.runs if run.missing is not None}

    @property
    def metric_names(self) -> tuple[str, ...]:
        """The names that the first run with metrics returned."""
        return next((tuple(run.metrics) for run in self.runs if run.metrics), ())

    def values(self, metric: str) -> NDArray[np.float64]:
        """Return one metric over the runs, shape ``(n,)`` float64; a failed run is NaN."""
        failed = float("nan")
        return np.array(
            [failed if r.failure else r.metrics.get(metric, failed) for r in self.runs], dtype=np.float64
        )


def failure_of(metrics: Mapping[str, float]) -> str | None:
    """Say why metrics make a failed run, or ``None``."""
    bad = [f"{name} is {value}" for name, value in metrics.items() if not math.isfinite(value)]
    return ", ".join(bad) if bad else None


@dataclass(frozen=True)
class Progress:
    """One step of long work.

    Attributes:
        side: ``"reference"``, ``"candidate"`` or ``"both"``.
        done: runs finished, both twins together.
        total: runs planned at most, both twins together.
        seconds: wall time so far.
        message: the current state in a few words.
    """

    side: str
    done: int
    total: int
    seconds: float
    message: str = ""


ProgressCallback = Callable[[Progress], None]


def listed(seeds: Sequence[int]) -> str:
    """Write seeds for a reader: ``"3, 7 and 11"``."""
    words = [str(seed) for seed in seeds]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


SHOWN = 16
"""How many test inputs a trained model is shown to see whether it still tells them apart."""


def predicts_a_constant(predict: Callable[..., Any], x: Any) -> bool:
    """Tell whether a trained model gives one output for all test inputs, as with a dead relu.

    Args:
        predict: calls the trained model in inference mode on a batch.
        x: test inputs, arrays or nested arrays with one row a sample.
    """
    shown = distinct_rows(x)
    if shown is None:
        return False
    try:
        outputs = predict(shown)
        return all(is_constant(keras.ops.convert_to_numpy(output)) for output in keras.tree.flatten(outputs))
    except Exception:  # it only describes; whatever stops it has not stopped the run
        return False


def is_constant(output: Any) -> bool:
    """Tell whether all rows of an array, shape ``(rows, ...)``, are equal to about float32 rounding."""
    output = np.asarray(output)
    if len(output) < 2 or not np.isfinite(output).all():
        return False
    scale = max(float(np.abs(output).max()), 1e-30)
    return bool((np.ptp(output, axis=0) <= 1e-6 * scale).all())


def distinct_rows(x: Any) -> Any:
    """Return up to `SHOWN` rows spread over the data, nested as ``x``; ``None`` where they all are equal."""
    arrays = keras.tree.flatten(x)
    rows = np.unique(np.linspace(0, len(arrays[0]) - 1, SHOWN).astype(int))
    if not any((array[rows] != array[rows[:1]]).any() for array in arrays):
        return None
    return keras.tree.map_structure(lambda array: array[rows], x)
