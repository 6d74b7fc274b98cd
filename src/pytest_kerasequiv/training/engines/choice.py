"""Choosing what trains a twin."""

from __future__ import annotations

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.engines.fit import FitEngine
from pytest_kerasequiv.training.engines.support import vectorizes
from pytest_kerasequiv.training.engines.vectorized import VectorizedEngine
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.starts.drawing import Starts


def make_arm(source: Source, plan: Training, side: str, starts: Starts | None = None) -> Arm:
    """Return what trains one twin in this process."""
    if vectorizes(plan):
        return VectorizedEngine(source, plan, side, starts=starts)
    engine = FitEngine(source, plan, side)
    asked = plan.engine_name != "fit" and plan.fit is None
    engine.instead = f"fit and not vectorized, since {plan.fit_alone}" if asked and plan.fit_alone else ""
    return engine
