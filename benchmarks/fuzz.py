"""Fuzzing the verdicts: random models, the ways to write one down, and what makes it another model.

    python benchmarks/fuzz.py --hours 1          # about one pair a second
    python benchmarks/fuzz.py --pairs 50 --seed 7

For each random recipe (`tests/common/random_models.py`) these must hold:

- it equals its rebuild, its other forms (functional, Sequential, nested, subclassed, attributes in reverse)
  and its saved copy: EQUIVALENT, or INCONCLUSIVE, which is counted; never DIFFERENT (a false alarm);
- a recipe that is another model by one value is never EQUIVALENT where float64 under the same weights shows
  that it is another (a miss), and never PROVED where anything differs;
- a verdict does not depend on which twin is called the reference, and is the same again under the same seed.

Prints every violation with its recipe and the seed that brings it back, then the score.
"""

from __future__ import annotations

import argparse
import collections
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))

import keras
from tests.common import random_models as rm
from tests.common.ground_truth import differ
from tests.common.random_layers import NOT_COVERED, PARTS, Merging, SelfAttending

from pytest_kerasequiv import Evidence, InputError, Verdict, compare

Violation = tuple[str, str]


def recipes(seed: int) -> Iterator[tuple[int, rm.Recipe]]:
    """Yield buildable recipes, with the number that brings each back."""
    number = seed * 1_000_000
    while True:
        number += 1
        rng = random.Random(number)
        recipe = rm.draw(lambda values, rng=rng: values[rng.randrange(len(values))], rng.randint(1, 5))
        if rm.builds(recipe):
            yield number, recipe


class Score:
    """What was tried, what went wrong, and how often the answer was INCONCLUSIVE."""

    def __init__(self) -> None:
        self.counts: collections.Counter[str] = collections.Counter()
        self.classes: collections.Counter[str] = collections.Counter()
        self.open: collections.Counter[str] = collections.Counter()
        self.violations: list[Violation] = []
        self.seconds = 0.0

    def compare(self, *sides: Any, **options: Any) -> Any:
        """Compare a pair, and count it."""
        started = time.perf_counter()
        try:
            return compare(*sides, **options)
        finally:
            self.seconds += time.perf_counter() - started
            self.counts["pairs"] += 1

    def violated(self, kind: str, what: str) -> None:
        """Note and print a violation."""
        self.counts[kind] += 1
        self.violations.append((kind, what))
        print(f"{kind.upper()}: {what}", flush=True)

    def __str__(self) -> str:
        kinds = (
            "pairs",
            "equal",
            "changed",
            "false alarm",
            "miss",
            "wrong proof",
            "asymmetric",
            "crash",
            "refused",
        )
        lines = [f"{kind}: {self.counts[kind]}" for kind in kinds]
        lines += [f"proved: {self.counts['proved']}", f"inconclusive: {dict(self.open)}"]
        lines += [f"seconds a pair: {self.seconds / max(self.counts['pairs'], 1):.2f}"]
        lines += [f"classes of keras.layers drawn: {len(self.classes)} of {len({p.name for p in PARTS})}"]
        return "\n".join(lines)


def try_recipe(recipe: rm.Recipe, number: int, score: Score) -> None:
    """Try all properties on one recipe."""
    rng = random.Random(number)
    score.classes.update(PARTS[index].name for index, _ in recipe.layers)
    reference = rm.builder(recipe)
    form = rng.choice(rm.FORMS)
    equal(score, f"{number} as {form}: {recipe}", form, reference, rm.builder(recipe, form))
    if rng.random() < 0.3:
        equal(score, f"{number} rebuilt: {recipe}", "rebuilt", reference, rm.builder(recipe))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model.keras")
            if saved(reference(), path):
                equal(score, f"{number} saved: {recipe}", "saved", path, reference)
    every = list(rm.changes(recipe))
    for change in rng.sample(every, min(2, len(every))):
        changed(score, f"{number} {change.what}: {recipe}", recipe, change, rng.choice(rm.FORMS[:3]))


def saved(model: keras.Model, path: Path) -> bool:
    """Save a model, if Keras can load it again."""
    try:
        model.save(path)
        keras.saving.load_model(path, custom_objects={"Merging": Merging, "SelfAttending": SelfAttending})
    except Exception:
        return False
    return True


def equal(score: Score, what: str, form: str, *sides: Any) -> None:
    """Equal models are never DIFFERENT."""
    score.counts["equal"] += 1
    report = answer(score, what, *sides)
    if report is None:
        return
    if report.verdict is Verdict.DIFFERENT:
        score.violated("false alarm", f"{what}\n    {first(report)}")
    elif report.verdict is Verdict.INCONCLUSIVE:
        score.open[form] += 1
        print(f"open: {what}\n    {first(report)}", flush=True)
    score.counts["proved"] += report.evidence is Evidence.PROVED


def changed(score: Score, what: str, recipe: rm.Recipe, change: rm.Change, form: str) -> None:
    """Another model is never EQUIVALENT."""
    if not rm.builds(change.recipe):
        return
    score.counts["changed"] += 1
    report = answer(score, what, rm.builder(recipe), rm.builder(change.recipe, form))
    if report is None:
        return
    apart = differ(recipe, change)
    if report.verdict is Verdict.EQUIVALENT and apart:
        proof = report.evidence is Evidence.PROVED
        score.violated("wrong proof" if proof else "miss", f"{what}, as {form}")
    elif report.verdict is Verdict.DIFFERENT and not apart:
        score.counts["different though nothing was seen in float64"] += 1
        print(f"unseen: {what}\n    {first(report)}", flush=True)
    elif report.verdict is Verdict.INCONCLUSIVE:
        score.open["changed"] += 1
    if random.Random(what).random() < 0.2:
        other = answer(score, what, rm.builder(change.recipe, form), rm.builder(recipe))
        if other is not None and other.verdict is not report.verdict:
            score.violated("asymmetric", f"{what}: {report.verdict.value}, {other.verdict.value}")


def answer(score: Score, what: str, *sides: Any) -> Any:
    """Return the report, or note a crash; a check that broke inside is one too."""
    try:
        report = score.compare(*sides)
    except InputError as refusal:
        score.counts["refused"] += 1
        print(f"refused: {what}\n    {str(refusal)[:300]}", flush=True)
        return None
    except Exception as error:
        score.violated("crash", f"{what}\n    {type(error).__name__}: {str(error)[:300]}")
        return None
    for result in report.checks.values():
        if "traceback" in result.figures:
            score.violated("crash", f"{what}\n    {result.name}: {result.findings[0].message[:300]}")
    return report


def first(report: Any) -> str:
    """Return what a report begins with."""
    return " / ".join(line.strip() for line in str(report).splitlines()[:4])[:400]


def main() -> None:
    """Fuzz for a time or a number of pairs."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=None)
    parser.add_argument("--pairs", type=int, default=None)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, default=None, help="the number of one recipe")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    score, end = (
        Score(),
        time.monotonic() + 3600 * (options.hours or (0.05 if options.pairs is None else 1000)),
    )
    if options.only is not None:
        number, recipe = next(recipes_from(options.only))
        try_recipe(recipe, number, score)
    else:
        for number, recipe in recipes(options.seed):
            if time.monotonic() > end or score.counts["pairs"] >= (options.pairs or float("inf")):
                break
            try_recipe(recipe, number, score)
            keras.backend.clear_session()
    print(f"\n{score}\n\nclasses that no recipe draws:")
    for names, why in NOT_COVERED.items():
        print(f"  {names}: {why}")
    raise SystemExit(bool(score.violations))


def recipes_from(number: int) -> Iterator[tuple[int, rm.Recipe]]:
    """Yield the recipe of one number."""
    rng = random.Random(number)
    yield number, rm.draw(lambda values: values[rng.randrange(len(values))], rng.randint(1, 5))


if __name__ == "__main__":
    main()
