"""Branches that can be exchanged correspond by what they start from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.common.models import building

from pytest_kerasequiv import Evidence, Verdict, compare, record

L = keras.layers
TABLES = np.random.default_rng(0).normal(size=(2, 9, 4)).astype(np.float32)


def summed(made: Sequence[Callable[[], Any]], dtype: str) -> Callable[[], keras.Model]:
    def body(inputs: Any) -> Any:
        return L.Dense(1)(L.Add()([make()(inputs) for make in made]))

    return building((6,), body, dtype=dtype)


def table(number: int, *, trainable: bool) -> Callable[[], Any]:
    constant = keras.initializers.Constant(TABLES[number])
    return lambda: L.Embedding(9, 4, embeddings_initializer=constant, trainable=trainable)


BRANCHES: dict[str, tuple[tuple[Callable[[], Any], ...], str]] = {
    "initialisers": ((lambda: L.Dense(4, kernel_initializer="he_normal"), lambda: L.Dense(4)), "float32"),
    "frozen tables": ((table(0, trainable=False), table(1, trainable=False)), "int32"),
    "tables": ((table(0, trainable=True), table(1, trainable=True)), "int32"),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_branches_in_another_order_are_the_same(name: str) -> None:
    branches, dtype = BRANCHES[name]
    report = compare(summed(branches, dtype), summed(branches[::-1], dtype))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED)


@pytest.mark.parametrize("name", BRANCHES)
def test_a_recording_tells_what_branches_start_from(name: str, tmp_path: Path) -> None:
    branches, dtype = BRANCHES[name]
    file = record(summed(branches, dtype), tmp_path / "summed.kerasequiv")
    report = compare(file, summed(branches[::-1], dtype))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED)
    assert compare(file, summed([branches[0]] * 2, dtype)).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("name", BRANCHES)
def test_one_branch_twice_is_another_model(name: str) -> None:
    branches, dtype = BRANCHES[name]
    report = compare(summed(branches, dtype), summed([branches[0]] * 2, dtype))
    assert report.verdict is Verdict.DIFFERENT
    assert report["weights"].verdict is Verdict.DIFFERENT
