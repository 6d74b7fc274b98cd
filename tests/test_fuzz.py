"""Random models: equal ones are never DIFFERENT, others never EQUIVALENT; see `benchmarks/fuzz.py`."""

import functools
import random
import sys
from pathlib import Path

import keras
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.common import random_models as rm
from tests.common.random_layers import PARTS
from tests.common.trials import CHANGED, Trial, answer, trials, violation

from pytest_kerasequiv import Evidence, Report, Verdict, compare

few = functools.partial(
    settings,
    phases=[Phase.generate],
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    database=None,
)


@st.composite
def recipes(draw):
    return rm.draw(lambda values: draw(st.sampled_from(values)), draw(st.integers(1, 3)))


@pytest.mark.slow
@few(max_examples=8)
@given(recipe=recipes(), number=st.integers(0, 10**6))
def test_the_same_model_is_never_different_and_another_never_equivalent(recipe, number):
    assume(rm.builds(recipe))
    tried = []
    for trial in trials(recipe, random.Random(number), changed=1):
        report = compare(*trial.sides)
        assert not violation(trial, report), f"{violation(trial, report)}: {trial.what}\n{report}"
        tried.append((trial, report))
    trial, report = tried[-1]
    if number % 4 == 0 and trial.property == CHANGED:
        assert compare(*trial.sides[::-1]).verdict is report.verdict, trial.what
        assert answer(compare(*trial.sides)) == answer(report), trial.what
    keras.backend.clear_session()


def test_a_wrong_answer_is_told():
    place = next(index for index, part in enumerate(PARTS) if part.name == "ReLU")
    recipe = rm.Recipe("vector", ((place, (("negative_slope", 0.0), ("max_value", None))),))
    change = next(iter(rm.changes(recipe)))
    sides = rm.builder(recipe), rm.builder(change.recipe)
    other, same = Trial("changed", "", sides, recipe, change), Trial("rebuilt", "", sides, recipe)

    def answered(verdict, evidence=None):
        return Report("pair", verdict, evidence, {})

    assert violation(other, answered(Verdict.EQUIVALENT, Evidence.MEASURED)) == "miss"
    assert violation(other, answered(Verdict.EQUIVALENT, Evidence.PROVED)) == "wrong proof"
    assert violation(same, answered(Verdict.EQUIVALENT, Evidence.PROVED)) == "wrong proof"
    assert violation(same, answered(Verdict.DIFFERENT, Evidence.MEASURED)) == "false alarm"
    assert not violation(other, answered(Verdict.INCONCLUSIVE))
