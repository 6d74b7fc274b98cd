"""Comparing training plans field by field."""

import numpy as np
import pytest

from pytest_kerasequiv.checks.plan_settings import compare_plans, plan_settings
from pytest_kerasequiv.training.plan import Training


def plan(labels=1.0, **settings):
    x, y = np.ones((8, 2)), np.full((8, 1), labels)
    return plan_settings(Training((x, y), (x, y), **settings))


def test_equal_plans_do_not_differ_whatever_their_seeds_and_margins():
    assert compare_plans(plan(seeds=3, margin=0.1), plan(seeds=5, margin="10%")) == []


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"batch_size": 4}, ["batch_size"]),
        ({"epochs": 2, "shuffle": True}, ["epochs", "shuffle"]),
        ({"labels": 2.0}, ["test.y", "train.y"]),
    ],
)
def test_each_field_is_named(change, fields):
    assert [finding.field for finding in compare_plans(plan(), plan(**change))] == fields
