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
from tests.common.trials import CHANGED, answer, trials, violation

from pytest_kerasequiv import compare

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
    recipe = rm.draw(lambda values: draw(st.sampled_from(values)), draw(st.integers(1, 4)))
    assume(rm.builds(recipe))
    return recipe


@pytest.mark.slow
@few(max_examples=15)
@given(recipe=recipes(), number=st.integers(0, 10**6))
def test_the_same_model_is_never_different_and_another_never_equivalent(recipe, number):
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
