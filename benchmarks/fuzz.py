"""Fuzzing the verdicts: random models, the ways to write one down, and what makes it another model.

    python benchmarks/fuzz.py --hours 1 --score score.txt    # about one pair a second
    python benchmarks/fuzz.py --pairs 50 --seed 7
    python benchmarks/fuzz.py --only 7000012                 # one recipe again, by the printed number

For each random recipe (`tests/common/random_models.py`) these must hold (`tests/common/trials.py`):

- it equals its rebuild, its other forms (functional, Sequential, nested, subclassed, attributes in reverse),
  its derived twin, its saved copy and itself with one layer rewritten (`tests/common/benign.py`): EQUIVALENT,
  or INCONCLUSIVE, which is counted; never DIFFERENT (a false alarm);
- a recipe that is another model by one value is never EQUIVALENT where float64 under the same weights shows
  that it is another (a miss), and never PROVED where anything differs (a wrong proof);
- a verdict does not depend on which twin is called the reference (asymmetric), and is the same again under
  the same seed, whatever was compared in between (unsteady).

Prints every violation with its recipe and the number that brings it back, and the score every minute, which
`--score` also writes to a file: the classes of `keras.layers` that are covered and those that are not, too.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent / "_fuzz"))

import keras
from score import Score
from tests.common import random_models as rm
from tests.common.trials import Trial, answer, classes, trials, violation

from pytest_kerasequiv import InputError, Report, compare


def recipe_of(number: int) -> rm.Recipe:
    """Return the recipe that a number stands for."""
    rng = random.Random(number)
    return rm.draw(lambda values: values[rng.randrange(len(values))], rng.randint(1, 5))


def recipes(seed: int) -> Iterator[tuple[int, rm.Recipe]]:
    """Yield buildable recipes, with the number that brings each back."""
    number = seed * 1_000_000
    while True:
        number += 1
        recipe = recipe_of(number)
        if rm.builds(recipe):
            yield number, recipe


def try_recipe(recipe: rm.Recipe, number: int, score: Score) -> None:
    """Try all properties on one recipe."""
    rng = random.Random(number)
    score.recipes += 1
    score.classes.update(classes(recipe))
    earlier: list[tuple[Trial, Report]] = []
    for trial in trials(recipe, rng):
        report = compared(trial, trial.sides, number, score)
        if report is not None:
            score.count(trial, report)
            wrong = violation(trial, report)
            if wrong:
                score.violated(wrong, f"{number} {trial.what}\n    {first(report)}")
            if callable(trial.sides[1]) and callable(trial.sides[0]):
                earlier.append((trial, report))
        score.tell()
    if earlier and rng.random() < 0.3:
        once_more(*rng.choice(earlier), number, score)


def once_more(trial: Trial, report: Report, number: int, score: Score) -> None:
    """Compare a pair with its sides swapped, and then as before, after all else of its recipe."""
    for kind, how, sides, told in (
        ("asymmetric", "with the sides swapped", trial.sides[::-1], lambda one: one.verdict),
        ("unsteady", "later, under the same seed", trial.sides, answer),
    ):
        other = compared(trial, sides, number, score)
        score.again[how] += 1
        if other is not None and told(other) != told(report):
            both = f"{first(report)} | {first(other)}"
            score.violated(kind, f"{number} {trial.what}\n    {both}")


def compared(trial: Trial, sides: tuple[Any, Any], number: int, score: Score) -> Report | None:
    """Return the report of a pair; a refusal is a violation too, as Keras builds both sides."""
    try:
        return compare(*sides)
    except InputError as refusal:
        score.violated("crash", f"{number} refused, {trial.what}\n    {str(refusal)[:300]}")
    except Exception as error:
        score.violated("crash", f"{number} {trial.what}\n    {type(error).__name__}: {str(error)[:300]}")
    return None


def first(report: Report) -> str:
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
    parser.add_argument(
        "--score", type=Path, default=None, help="a file for the score, rewritten every minute"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    score = Score(options.score)
    hours = options.hours or (0.05 if options.pairs is None else 1000)
    try:
        if options.only is not None:
            try_recipe(recipe_of(options.only), options.only, score)
        else:
            run(options.seed, time.monotonic() + 3600 * hours, options.pairs or 10**9, score)
    finally:
        score.tell(now=True)
    raise SystemExit(bool(score.wrong))


def run(seed: int, end: float, pairs: int, score: Score) -> None:
    """Try recipes until a time or a number of pairs is reached."""
    for number, recipe in recipes(seed):
        if time.monotonic() > end or sum(score.answers.values()) >= pairs:
            return
        try_recipe(recipe, number, score)
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
