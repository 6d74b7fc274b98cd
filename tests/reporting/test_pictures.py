"""Which picture shows which check."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pytest_kerasequiv import CheckResult, Evidence, Report, Verdict, equivalence_test
from pytest_kerasequiv.reporting.pictures import draw_graphs, draw_training


def trained() -> CheckResult:
    values = 1 + np.random.default_rng(0).normal(size=12)
    metrics = {
        "same": equivalence_test(values, values, paired=True).to_dict(),
        "worse": equivalence_test(values, values + 9, paired=True).to_dict(),
    }
    return CheckResult("training", Verdict.DIFFERENT, Evidence.STATISTICAL, (), {"metrics": metrics})


def test_training_shows_the_metric_that_decides(tmp_path) -> None:
    text = trained().plot(tmp_path / "training.svg").read_text()
    assert text.startswith("<?xml")
    assert "worse" in text
    assert "<!-- same" not in text


def test_a_report_read_back_still_has_its_picture(tmp_path) -> None:
    report = Report("pair", Verdict.DIFFERENT, Evidence.STATISTICAL, {"training": trained()})
    back = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert back["training"].plot(tmp_path / "training.png").stat().st_size > 1000


def test_without_runs_or_graphs_there_is_no_picture(tmp_path) -> None:
    with pytest.raises(ValueError, match="no run gave a metric"):
        draw_training({"metrics": {}}, tmp_path / "x.svg")
    with pytest.raises(ValueError, match="no layer graph"):
        draw_graphs({}, tmp_path / "x.svg")
