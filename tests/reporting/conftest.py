"""Reports to render: made by hand, so that they hold what real ones hold only now and then."""

from __future__ import annotations

from typing import Any

import pytest

from pytest_kerasequiv import CheckResult, Evidence, Finding, Report, Verdict
from pytest_kerasequiv.deciding import overall
from pytest_kerasequiv.verdict import Kind

NASTY = "<script>alert('x')</script>|`**&\n"


def side(values: list[float]) -> dict[str, Any]:
    mean = sum(values) / len(values)
    sd = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
    return {
        "values": values,
        "mean": mean,
        "sd": sd,
        "median": mean,
        "min": min(values),
        "max": max(values),
        "failed": 0,
    }


def summary_figures(name: str) -> dict[str, Any]:
    row = {
        "layer": f"{name}/dense",
        "kind": "Dense",
        "output_shapes": [[None, 2]],
        "parameters": 6,
        "trainable": True,
    }
    rows = [row, {**row, "layer": f"{name}/out", "trainable": False}]
    return {
        "reference": {"rows": rows},
        "candidate": {"rows": rows[:1]},
        "alignment": [
            {"reference": 0, "candidate": 0, "state": "differs", "fields": ["parameters"]},
            {"reference": 1, "candidate": None, "state": "missing", "fields": []},
        ],
        "text": "reference | candidate",
    }


def informing(name: str, findings: tuple[Finding, ...], figures: dict[str, Any]) -> CheckResult:
    return CheckResult(
        name, Verdict.DIFFERENT, Evidence.MEASURED, findings, figures, 0.0, Kind.INFORMING, "mend it."
    )


def training_result(verdict: Verdict, metrics: dict[str, Any]) -> CheckResult:
    figures = {"engine": "fit", "reason": "asked for", "n": 3, "seeds": [0, 1, 2], "metrics": metrics}
    evidence = None if verdict is Verdict.INCONCLUSIVE else Evidence.STATISTICAL
    return CheckResult("training", verdict, evidence, (), figures, 12.5, Kind.STATISTICAL)


@pytest.fixture(scope="session")
def decision() -> dict[str, Any]:
    """A real decision on a metric, as it travels."""
    from pytest_kerasequiv import equivalence_test
    from pytest_kerasequiv.statistics.luck import luck_of_one_run

    reference = [1.0, 1.1, 0.9, 1.2, 1.05, 0.95] * 2
    candidate = [value + shift for value, shift in zip(reference, [0.01, -0.02, 0.0] * 4, strict=True)]
    test = equivalence_test(reference, candidate, margin=0.5, paired=True)
    figures = {"m": test.to_dict() | {"luck": luck_of_one_run(reference, (3.9, 4.1)).to_dict()}}
    return CheckResult("training", Verdict.EQUIVALENT, None, (), figures).to_dict()["figures"]["m"]


@pytest.fixture(scope="session")
def equivalent(decision: dict[str, Any]) -> Report:
    """Measured and trained, with a difference of layers that became a note."""
    graph = Finding("graph", "a/relu", None, "layer", "ReLU", None, "layer a/relu (ReLU) has no counterpart")
    results = [
        CheckResult("graph", Verdict.DIFFERENT, Evidence.MEASURED, (graph,), kind=Kind.INFORMING),
        CheckResult("outputs", Verdict.EQUIVALENT, Evidence.MEASURED, (), {"layers": []}, 0.25),
        training_result(Verdict.EQUIVALENT, {"mae": decision}),
    ]
    return report("forecaster", results)


@pytest.fixture(scope="session")
def different() -> Report:
    """Whose names, values and messages try to break the page."""
    culprit = Finding(
        "graph", f"m/{NASTY}", f"m/{NASTY}", "rate", 0.2, 0.3, f"layer m/{NASTY}: rate is 0.2, then 0.3"
    )
    symptom = Finding(
        "outputs", f"m/{NASTY}", f"m/{NASTY}", "value", None, None, "m is off\nmismatched elements: 3 / 4"
    )
    layers = [
        {"reference": f"m/{NASTY}", "candidate": "m/b", "difference": 1e-3, "allowed": 1e-6},
        {"reference": "m/c", "candidate": "m/c", "difference": 0.0, "allowed": 1e-6},
        {"reference": "m/d", "candidate": None, "difference": "nan", "allowed": None},
    ]
    results = [
        informing("summary", (), summary_figures(f"m{NASTY}")),
        informing("graph", (culprit,), graph_figures()),
        CheckResult("program", Verdict.INCONCLUSIVE, None, kind=Kind.PROVING),
        CheckResult("outputs", Verdict.DIFFERENT, Evidence.MEASURED, (symptom,), {"layers": layers}, 0.5),
    ]
    return report(f"pair {NASTY}", results)


@pytest.fixture(scope="session")
def inconclusive() -> Report:
    """Too few runs to tell."""
    metric = {
        "verdict": "INCONCLUSIVE", "n": 3,
        "reference": side([1.0, 2.0, 3.0]), "candidate": side([1.5, 2.5, 3.5]),
        "difference": 0.5, "ci90": [-1.0, 2.0], "ci95": [-1.5, 2.5], "margin": 1.0,
        "margin_label": "1 sd", "recommended_runs": 18,
    }  # fmt: skip
    return report("shy", [training_result(Verdict.INCONCLUSIVE, {"loss": metric})])


def report(name: str, results: list[CheckResult]) -> Report:
    verdict, evidence, checks = overall(results)
    context = {
        "reference": "models:sequential", "candidate": "models:functional", "weights": "copy", "seed": 0,
        "versions": {"python": "3.11.7", "keras": "3.15.1"},
    }  # fmt: skip
    return Report(name, verdict, evidence, {result.name: result for result in checks}, context)


def graph_figures() -> dict[str, Any]:
    """The figures of a real check."""
    import keras

    from pytest_kerasequiv import compare

    def build(rate: float) -> keras.Model:
        layers = [
            keras.Input((3,)),
            keras.layers.Dense(2, name="dense"),
            keras.layers.Dropout(rate, name="script"),
        ]
        return keras.Sequential(layers)

    found = compare(lambda: build(0.2), lambda: build(0.3), checks=["graph"])
    return found.to_dict()["checks"]["graph"]["figures"]
