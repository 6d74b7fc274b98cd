"""What must hold of the verdicts on a random recipe: the pairs to try, and what their answers may not be."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
from tests.common import random_models as rm
from tests.common.benign import rewrites
from tests.common.ground_truth import apart, differ
from tests.common.own_code import needs_own_model
from tests.common.random_layers import PARTS
from tests.common.wrapped_layers import OWN_LAYERS

from pytest_kerasequiv import Evidence, Report, Verdict

CHANGED = "changed"
"""The property of pairs that are another model by one value; all other properties are of equal ones."""


@dataclass(frozen=True)
class Trial:
    """One pair of twins, and what is known of it.

    Attributes:
        property: what the pair tries, such as ``"saved"`` or ``"changed"``.
        what: the recipe and the change, in words.
        sides: the reference and the candidate, for `compare`.
        recipe: the recipe of the reference.
        change: what makes the candidate another model; ``None`` where both are the same one.
    """

    property: str
    what: str
    sides: tuple[Any, Any]
    recipe: rm.Recipe
    change: rm.Change | None = None


def trials(recipe: rm.Recipe, rng: random.Random, changed: int = 2) -> Iterator[Trial]:
    """Yield a recipe against its other forms, derived twin, saved copy, a rewrite, and other models."""
    reference, form = rm.builder(recipe), _form(recipe, rng)
    yield Trial("another form", f"as {form}: {recipe}", (reference, rm.builder(recipe, form)), recipe)
    if rng.random() < 0.3:
        yield Trial("rebuilt", f"rebuilt: {recipe}", (reference, rm.builder(recipe)), recipe)
        if not needs_own_model(recipe.own):
            linear = rng.choice(rm.FORMS[:2])
            sides = rm.builder(recipe, linear), None
            yield Trial("derived", f"derived from {linear}: {recipe}", sides, recipe)
        yield from _saved(recipe)
    rewritten = list(rewrites(recipe))
    if rewritten:
        name, candidate = rng.choice(rewritten)
        yield Trial("benign rewrite", f"{name} rewritten: {recipe}", (reference, candidate), recipe)
    every = list(rm.changes(recipe))
    for change in rng.sample(every, min(changed, len(every))):
        if rm.builds(change.recipe):
            form = _form(change.recipe, rng)
            pair = reference, rm.builder(change.recipe, form)
            yield Trial(CHANGED, f"{change.what} as {form}: {recipe}", pair, recipe, change)


def _form(recipe: rm.Recipe, rng: random.Random) -> str:
    """Choose a form in which Keras runs a recipe."""
    form = rng.choice(rm.forms(recipe))
    return form if rm.runs(rm.builder(recipe, form), recipe) else rm.FORMS[0]


def _saved(recipe: rm.Recipe) -> Iterator[Trial]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        try:
            rm.builder(recipe)().save(path)
            keras.saving.load_model(path, custom_objects=OWN_LAYERS)
        except Exception:  # whatever Keras cannot save or load again
            return
        yield Trial("saved", f"saved: {recipe}", (path, rm.builder(recipe)), recipe)


def violation(trial: Trial, report: Report) -> str:
    """Return what is wrong with an answer, in a word or two; nothing where it is allowed."""
    if any("traceback" in result.figures for result in report.checks.values()):
        return "crash"
    if trial.change is None:
        return _wrong_of_equal(trial, report)
    if report.verdict is Verdict.EQUIVALENT and differ(trial.recipe, trial.change):
        return "wrong proof" if report.evidence is Evidence.PROVED else "miss"
    return ""


def _wrong_of_equal(trial: Trial, report: Report) -> str:
    """Return what is wrong with an answer on equal models; a proof is held to what they do in float64."""
    if report.verdict is Verdict.DIFFERENT:
        return "false alarm"
    one, other = trial.sides
    if report.evidence is Evidence.PROVED and callable(one) and callable(other):
        # A rewrite may draw its weights in another order, or hold them in another one: not both.
        wrong = all(apart(one, other, trial.recipe, (0,), moved=moved) for moved in (0.0, 0.1))
        return "wrong proof" if wrong else ""
    return ""


def answer(report: Report) -> tuple[Any, ...]:
    """Return what must be the same again under the same seed: verdicts, evidence and what was found."""
    checks = [(result.name, result.verdict, result.evidence) for result in report.checks.values()]
    found = [(finding.check, finding.field, finding.severity) for finding in report.findings]
    return report.verdict, report.evidence, tuple(checks), tuple(found)


def classes(recipe: rm.Recipe) -> set[str]:
    """Return the classes of `keras.layers` that a recipe draws."""
    return {PARTS[index].name for index, _ in recipe.layers}
