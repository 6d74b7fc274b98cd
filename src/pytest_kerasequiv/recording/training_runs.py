"""Recorded runs of repeated training."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.pair import Twin
from pytest_kerasequiv.training.data import leaves
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Runs
from pytest_kerasequiv.training.starts.digest import feed


def trained(twin: Twin, training: Training) -> Runs:
    """Train a reference under every seed of a plan; how long that took is no part of what is recorded."""
    check, found = LADDER["training"], Runs(())
    for plan in check.plan(twin, None, training=training):
        found = check.observe(twin, plan)
    return replace(found, runs=tuple(replace(run, seconds=0.0, origin="recorded") for run in found.runs))


def facts_of_plan(training: Training) -> dict[str, Any]:
    """Return what recorded runs depend on beside the model: digests of the data, and how it is used."""
    return {
        "train": _digest(training.train),
        "test": _digest(training.test),
        "fit": training.fit is not None,
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "shuffle": training.shuffle,
        "seeds": list(training.seed_values),
    }


def _digest(split: Any) -> str:
    digest = hashlib.sha256()
    for place, array in leaves(tuple(split), "data") if split is not None else ():
        digest.update(place.encode())
        feed(digest, array)
    return digest.hexdigest()[:32]
