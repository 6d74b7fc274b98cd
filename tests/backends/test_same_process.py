"""Sessions under another backend: what describes the twins is compared, the rest is undecided."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.common.across_backends import EACH

SCRIPT = """
import keras
from keras import layers
from pytest_kerasequiv import InputError, Verdict, compare, record

def sequential(units=4, rate=0.2, loss="mse"):
    hidden = [layers.Conv1D(units, 3), layers.Dropout(rate)]
    model = keras.Sequential([keras.Input((8, 2)), *hidden, layers.Dense(1)])
    model.compile("adam", loss)
    return model

def functional():
    inputs = keras.Input((8, 2))
    model = keras.Model(inputs, layers.Dense(1)(layers.Dropout(0.2)(layers.Conv1D(4, 3)(inputs))))
    model.compile("adam", "mse")
    return model

def differences(report):
    return [one for result in report.checks.values() for one in result.differences]

def refused(act):
    try:
        act()
    except InputError as error:
        return str(error)

same = compare(sequential, functional)
assert same.verdict is Verdict.INCONCLUSIVE
assert same["graph"].verdict is same["weights"].verdict is Verdict.EQUIVALENT
assert same.evidence is None
assert set(same.not_run) == {"outputs", "gradients"}
(told,) = [one.message for one in differences(same)]
assert "set KERAS_BACKEND=tensorflow" in told and f'backend="{keras.config.backend()}"' in told, told
assert compare(sequential, functional, checks=["gradients"]).verdict is Verdict.INCONCLUSIVE
rate = compare(sequential, lambda: sequential(rate=0.3))
assert rate.verdict is Verdict.INCONCLUSIVE
assert any("rate is 0.2 in the reference and 0.3" in one.message for one in rate["graph"].findings)
assert compare(sequential, lambda: sequential(units=5)).verdict is Verdict.DIFFERENT
loss = compare(sequential, lambda: sequential(loss="mae"))
assert loss.verdict is Verdict.DIFFERENT
assert "another loss" in differences(loss)[0].message
for needs in (
    lambda: record(sequential, "it.kerasequiv"),
    lambda: compare("it.kerasequiv", functional),
    lambda: compare(sequential, backend=keras.config.backend()),
    lambda: compare(sequential, lambda inputs: inputs),
):
    assert "set KERAS_BACKEND=tensorflow" in refused(needs)
print("seen")
"""


@pytest.mark.parametrize("backend", EACH)
def test_what_is_told_where_both_run_on_another_backend(backend: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env=os.environ | {"KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "seen\n", done.stderr
