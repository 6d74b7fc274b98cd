"""Observing one builder alone, by the code that this process has: into a recording, and by training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.building.compiling import check_compile
from pytest_kerasequiv.building.sources import Source, source_of
from pytest_kerasequiv.building.specs import parse_input_shape
from pytest_kerasequiv.building.twins import BUILD_SEED
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.setup import one_arm


def arm(builder: Any, plan: Training, options: Mapping[str, Any], cache: str | None) -> Arm:
    """Return what trains the models of a builder; finished runs are kept in a folder.

    Raises:
        InputError: the models cannot be trained as planned.
    """
    source, model = _source(builder, options).built_as_given(BUILD_SEED)
    return one_arm(source, model, plan, cache=cache)


def _source(builder: Any, options: Mapping[str, Any]) -> Source:
    source = source_of(builder, "reference", compile=check_compile(options.get("compile")))
    return replace(source, specs=parse_input_shape(options.get("input_shape")))


def split_data(data: Any, text: str) -> tuple[Any, Any]:
    """Return training and test data from what a loader returned.

    Raises:
        InputError: it is no pair.
    """
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError(
            f"data={text!r} returned {data!r:.60}; it must return ((x_train, y_train), (x_test, y_test))"
        )
    return data[0], data[1]
