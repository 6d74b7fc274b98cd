"""What a type checker sees of the public surface."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SNIPPET = """
from pytest_kerasequiv import Nonsense
from pytest_kerasequiv import Report, Training, Twins, TwinsFactory, assert_equivalent, compare

def build() -> object: ...

report: Report = compare(build, accept=("clip.*",), checks="all", input_shape=(3,), name="pair")
compare(build, chekcs=["outputs"])
assert_equivalent(build, tol=1.0)
compare(build, weights="mine")
compare(build, checks=3)

def test_it(keras_twins: TwinsFactory) -> None:
    twins = keras_twins(build).accept("clip.*")
    twins.assert_same_outputs(rtol=1e-3)
    twins.assert_same_output()
"""


def test_misspelt_names_and_arguments_are_errors(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "snippet.py").write_text(SNIPPET)
    project = Path(__file__).parents[1]
    command = ["--strict", "--config-file", str(project / "pyproject.toml"), "snippet.py"]
    cache = ["--cache-dir", str(project / ".mypy_cache")]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *cache, *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line.partition(": error: ") for line in done.stdout.splitlines() if ": error: " in line]
    assert [place.removeprefix("snippet.py:") for place, _, _ in errors] == ["2", "8", "9", "10", "11", "16"]
    told = [message for _, _, message in errors]
    assert told[0].startswith('Module "pytest_kerasequiv" has no attribute "Nonsense"')
    assert told[1].startswith('Unexpected keyword argument "chekcs" for "compare"')
    assert told[5].startswith('"TwinsUnderTest" has no attribute "assert_same_output"')
