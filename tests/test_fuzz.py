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
from tests.common.ground_truth import differ

from pytest_kerasequiv import Verdict, compare

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


def verdict(*sides):
    report = compare(*sides)
    crashed = [str(one.findings[0]) for one in report.checks.values() if "traceback" in one.figures]
    assert crashed == []
    keras.backend.clear_session()
    return report.verdict


@pytest.mark.slow
@few(max_examples=20)
@given(recipe=recipes(), form=st.sampled_from(rm.FORMS))
def test_a_model_is_never_different_from_itself_in_another_form(recipe, form):
    assert verdict(rm.builder(recipe), rm.builder(recipe, form)) is not Verdict.DIFFERENT


@pytest.mark.slow
@few(max_examples=20)
@given(recipe=recipes(), form=st.sampled_from(rm.FORMS[:3]), number=st.integers(0, 10**6))
def test_another_model_is_never_equivalent(recipe, form, number):
    change = random.Random(number).choice(list(rm.changes(recipe)))
    assume(rm.builds(change.recipe))
    assume(differ(recipe, change))
    sides = rm.builder(recipe), rm.builder(change.recipe, form)
    found = verdict(*sides)
    assert found is not Verdict.EQUIVALENT, change.what
    if number % 4 == 0:
        assert verdict(*reversed(sides)) is found, change.what
