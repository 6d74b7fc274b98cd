"""Recorded runs of repeated training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.pair import Twin
from pytest_kerasequiv.training.feeds import content_digest
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.runs import Runs


def trained(twin: Twin, training: Training) -> Runs:
    """Train a reference under every seed of a plan; how long that took is no part of what is recorded."""
    check, found = LADDER["training"], Runs(())
    for plan in check.plan(twin, None, training=training):
        found = check.observe(twin, plan)
    return replace(found, runs=tuple(replace(run, seconds=0.0, origin="recorded") for run in found.runs))


def facts_of_plan(training: Training) -> dict[str, Any]:
    """Return what recorded runs depend on beside the model: digests of the data, and how it is used."""
    return {
        "train": content_digest(training.train)[:32],
        "test": content_digest(training.test)[:32],
        "fit": training.fit is not None,
        "epochs": training.epochs,
        "batch_size": training.batch_size,
        "shuffle": training.shuffle,
        "seeds": list(training.seed_values),
        **_options(training),
    }


def _options(training: Training) -> dict[str, Any]:
    """Return what else of ``fit`` was asked for."""
    options = {
        "validation_data": training.validation_data and content_digest(training.validation_data)[:32],
        "class_weight": {str(name): one for name, one in (training.class_weight or {}).items()},
        "callbacks": training.callbacks is not None,
        "validation_split": training.validation_split,
        "validation_steps": training.validation_steps,
        "steps_per_epoch": training.steps_per_epoch,
    }
    return {name: value for name, value in options.items() if value}
