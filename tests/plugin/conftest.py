"""A pytester folder whose floors below the plugin are scripted: each check answers what its test says."""

from __future__ import annotations

import gc

import keras  # noqa: F401 - pytester forgets what a run imported, but TensorFlow cannot be loaded twice
import pytest

gc.freeze()  # each pytest in pytest collects garbage five times when it ends: not over all of TensorFlow

SCRIPTED_FLOORS = """
import contextlib
import importlib.util
import sys
import types

from pytest_kerasequiv import CheckResult, Evidence, Finding, InputError, Verdict

CALLS = []


def script_of(reference):
    if isinstance(reference, dict):
        return reference
    module, _, name = reference.partition(":")
    return getattr(importlib.import_module(module), name) if name else {}


class Twins:
    def __init__(self, reference, candidate=None, *, name=None, **options):
        self.script = script_of(reference)
        self.reference, self.candidate = object(), object()
        self.reference_label, self.candidate_label = "models:reference", "models:candidate"
        self.name, self.weights = name or "pair", "copy"


class Pair:
    def __init__(self, twins, *, seed=0, inputs=None, rtol=None, atol=None):
        self.twins, self.seed, self.inputs, self.rtol, self.atol = twins, seed, inputs, rtol, atol


class Training:
    def __init__(self, *data, **values):
        self.data, self.values = data, values
        if values.get("epochs", 1) < 1:
            raise InputError(f"epochs={values['epochs']} must be at least 1")

    def with_defaults(self, **defaults):
        return Training(*self.data, **(defaults | self.values))


def run_of(name):
    def run(pair, **options):
        CALLS.append((name, options, pair))
        answer = pair.twins.script.get(name, "INCONCLUSIVE" if name == "program" else "EQUIVALENT")
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, CheckResult):
            return answer
        findings, evidence = (), Evidence.MEASURED
        if answer == "DIFFERENT":
            message = f"layer reference/dropout: rate is 0.2 in the reference, 0.3 in the candidate ({name})"
            findings = (Finding(name, "reference/dropout", "candidate/dropout", "rate", 0.2, 0.3, message),)
        if answer == "INCONCLUSIVE":
            evidence = None
        if name == "training":
            if options.get("progress"):
                for done in (1, 2):
                    options["progress"](types.SimpleNamespace(
                        side="reference", done=done, total=2, seconds=1.5, message=""))
            return CheckResult(name, Verdict(answer), evidence and Evidence.STATISTICAL, findings, FIGURES)
        return CheckResult(name, Verdict(answer), evidence, findings)
    return run


SIDE = {"values": [1.0, 2.0], "mean": 1.5, "sd": 0.7071, "median": 1.5, "min": 1.0, "max": 2.0, "failed": 0}
FIGURES = {
    "engine": "fit", "reason": "asked for", "n": 2, "seeds": [0, 1],
    "failed": {"reference": 0, "candidate": 0},
    "metrics": {"mae": {
        "verdict": "EQUIVALENT", "n": 2, "reference": SIDE, "candidate": SIDE, "difference": 0.125,
        "ci90": [-0.25, 0.5], "ci95": [-0.5, 0.75], "margin": 0.7071, "margin_label": "1 sd",
        "p_equivalence": 0.01, "p_difference": 0.9}},
}


def install():
    for name in ("summary", "graph", "program", "weights", "outputs", "gradients", "updates", "training"):
        module = types.ModuleType(f"pytest_kerasequiv.checks.{name}")
        module.run = run_of(name)
        sys.modules[module.__name__] = module
    twins = types.ModuleType("pytest_kerasequiv.building.twins")
    twins.Twins = Twins
    sys.modules[twins.__name__] = twins
    plan = types.ModuleType("pytest_kerasequiv.training.plan")
    plan.Training = Training
    sys.modules[plan.__name__] = plan
    install_locate()
    pair = types.ModuleType("pytest_kerasequiv.checks.pair")
    pair.Pair = Pair
    sys.modules[pair.__name__] = pair


def install_locate():
    # The real one, which would import TensorFlow to put back its random state after an import.
    spec = importlib.util.find_spec("pytest_kerasequiv.building.locate")
    locate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(locate)
    locate.preserved_state = contextlib.nullcontext
    sys.modules[spec.name] = locate


install()
"""


@pytest.fixture
def scripted(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder where ``keras_twins({"graph": "DIFFERENT"})`` makes twins whose graphs differ."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly")
    pytester.makepyfile(scripted_floors=SCRIPTED_FLOORS)
    pytester.makeconftest("import scripted_floors")
    pytester.syspathinsert()
    return pytester
