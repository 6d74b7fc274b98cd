"""An arm that asks the cache first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.cache import RunCache
from pytest_kerasequiv.training.keys import RunKeys
from pytest_kerasequiv.training.runs import Run


class CachedArm:
    """Takes finished runs from a cache and trains the others; every finished run is kept at once.

    Args:
        arm: trains what the cache does not have.
        keys: makes the keys of the twin's runs.
        cache: keeps the runs.
    """

    def __init__(self, arm: Arm, keys: RunKeys, cache: RunCache) -> None:
        self._arm = arm
        self._keys = keys
        self._cache = cache
        self._trained = False
        self._origins: set[str] = set()

    @property
    def reason(self) -> str:
        """Why its engine was chosen, and how its results were made sure of."""
        told = self._arm.reason if self._trained else f"nothing had to be trained: {self._sources()}"
        why_none = self._keys.why_none
        return told if why_none is None else f"{told}; runs are neither shared nor kept, since {why_none}"

    def train(self, seeds: Sequence[int]) -> Iterator[Run]:
        """Yield one run a seed, in this order."""
        fresh: Iterator[Run] = iter(())
        waited_for: list[int] = []
        for index, seed in enumerate(seeds):
            known = self._known(seed)
            if known is not None and seed not in waited_for:
                self._origins.add(known.origin)
                yield known
                continue
            if seed not in waited_for:
                waited_for = [one for one in seeds[index:] if self._known(one) is None]
                fresh = self._arm.train(waited_for)
                self._trained = True
            run = next(fresh)
            self._keep(run)
            yield run

    def _sources(self) -> str:
        words = {
            "shared": "runs of this session of the same program and start",
            "cache": "runs of an earlier session",
        }
        return " and ".join(words[origin] for origin in sorted(self._origins))

    def _known(self, seed: int) -> Run | None:
        key = self._keys.of(seed)
        found = None if key is None else self._cache.get(key)
        if found is None:
            return None
        run, origin = found
        return replace(run, origin=origin, seconds=0.0)

    def _keep(self, run: Run) -> None:
        key = self._keys.of(run.seed)
        if key is not None and run.metrics:  # a crash may have been the machine's
            self._cache.put(key, run)
