"""The benchmark script runs, and what docs/statistics.md claims is what was measured."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT, PAGE = ROOT / "benchmarks" / "statistics.py", ROOT / "docs" / "statistics.md"


def run(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    target = tmp_path_factory.mktemp("cells") / "cells.json"
    done = run("--experiments", "40", "--only", "hidden_differences", "power_to_pass", "--save", str(target))
    assert done.returncode == 0, done.stdout + done.stderr
    return target, json.loads(target.read_text())


def test_simulates_cells_with_targets(cells):
    _, found = cells
    assert {cell["group"] for cell in found} == {
        "EQUIVALENT for hidden differences",
        "EQUIVALENT for identical twins",
    }
    assert all(0 <= cell["rate"] <= 1 for cell in found)
    bitwise = [cell for cell in found if cell["design"] == "bitwise equal"]
    assert len(bitwise) == 6
    assert all(cell["rate"] == cell["at_least"] == 1.0 for cell in bitwise)


def test_fails_where_a_target_is_missed(cells, tmp_path):
    _, found = cells
    bad = [dict(cell, rate=0.4) if cell["design"] == "bitwise equal" else cell for cell in found]
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(bad))
    done = run("--load", str(path))
    assert done.returncode == 1
    assert "beyond chance: 6" in done.stdout


def test_same_seed_same_rates(cells, tmp_path):
    again = tmp_path / "again.json"
    run("--experiments", "40", "--only", "hidden_differences", "--save", str(again))
    wanted = [cell for cell in cells[1] if cell["group"] == "EQUIVALENT for hidden differences"]
    assert json.loads(again.read_text()) == wanted


CLAIMS = (
    "Identical twins are called DIFFERENT with probability at most alpha, whatever the metric's distribution "
    "(exact).",
    "Twins at or beyond the margin are called EQUIVALENT with probability at most alpha for normal metrics, "
    "at most .06 measured under location shift for the others.",
    "No n runs can exclude an unseen failure mode of rate r: the blind spot is (1-r)^n.",
    "Fix the seeds in the repository: re-rolling until green voids alpha.",
)


@pytest.mark.parametrize("claim", CLAIMS)
def test_the_page_claims_word_for_word(claim):
    assert claim in re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8").replace("**", ""))


def test_the_page_shows_what_was_measured():
    text = PAGE.read_text(encoding="utf-8")
    measured = text.split("<!-- measured: begin -->")[1].split("<!-- measured: end -->")[0]
    for group in (
        "False EQUIVALENT",
        "False DIFFERENT",
        "Early stopping",
        "Against naive rules",
        "Known limits",
    ):
        assert f"### {group}" in measured
    assert "Targets missed: 0." in measured
    assert int(re.search(r"at least (\d+) simulated experiments", measured)[1]) >= 2000
    picture = PAGE.with_suffix(".svg")
    assert "(statistics.svg)" in text
    assert picture.stat().st_size < 60_000
