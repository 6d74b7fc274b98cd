"""The distributions of a metric over seeds that the benchmark simulates, all with mean 0 and sd 1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

GAP = 10.0
"""How far a collapsed run lies from the others, in their standard deviations."""


@dataclass(frozen=True)
class Design:
    """How the runs of the twins belong together: latent correlation of paired runs, ``None`` for unpaired."""

    label: str
    correlation: float | None

    @property
    def paired(self) -> bool:
        """Whether run i of both twins belongs together."""
        return self.correlation is not None


UNPAIRED = Design("unpaired", None)
PAIRED_5 = Design("paired .5", 0.5)
PAIRED_95 = Design("paired .95", 0.95)
DESIGNS = (UNPAIRED, PAIRED_5, PAIRED_95)


def _lognormal(z: Array) -> Array:
    mean, sd = np.exp(0.5), np.sqrt((np.e - 1) * np.e)
    return np.asarray((np.exp(z) - mean) / sd)


def _t3(z: Array) -> Array:
    return np.asarray(stats.t.ppf(stats.norm.cdf(z), 3) / np.sqrt(3))


def collapsing(rate: float, gap: float = GAP) -> Callable[[Array], Array]:
    """Return the quantile map of a mixture of N(0, 1) and, at ``rate``, N(gap, 1); mean 0, sd 1."""
    grid = np.linspace(-9, gap + 9, 40_001)
    cdf = (1 - rate) * stats.norm.cdf(grid) + rate * stats.norm.cdf(grid - gap)
    sd = np.sqrt(1 + rate * (1 - rate) * gap**2)

    def quantile(z: Array) -> Array:
        return np.asarray((np.interp(stats.norm.cdf(z), cdf, grid) - rate * gap) / sd)

    return quantile


FAMILIES: dict[str, Callable[[Array], Array]] = {
    "normal": lambda z: z,
    "lognormal": _lognormal,
    "t3": _t3,
    "B10": collapsing(0.1),
    "B20": collapsing(0.2),
    "B30": collapsing(0.3),
}


def accuracy(z: Array, points: int = 50, share: float = 0.9) -> Array:
    """Return accuracies on so many test points: few distinct values, many ties."""
    return np.asarray(stats.binom.ppf(stats.norm.cdf(z), points, share) / points)


def latent(rng: np.random.Generator, experiments: int, n: int, design: Design) -> tuple[Array, Array]:
    """Return the normal scores of both twins, shape (experiments, n); paired ones correlate."""
    x, y = rng.normal(size=(2, experiments, n))
    if design.correlation is None:
        return x, y
    return x, design.correlation * x + np.sqrt(1 - design.correlation**2) * y
