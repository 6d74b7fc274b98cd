"""The luck of a single run in words."""

import json

import numpy as np

from pytest_kerasequiv.reporting.single_runs import luck_sentences
from pytest_kerasequiv.statistics.luck import luck_of_one_run


def test_without_a_pair_that_was_seen_nothing_is_said_of_one():
    assert len(luck_sentences(luck_of_one_run([1.0, 2.0, 4.0]).to_dict())) == 1


def test_the_sentences_tell_what_was_seen():
    usual, seen = luck_sentences(luck_of_one_run(np.linspace(3, 5, 20), (3.96, 4.49)).to_dict())
    assert usual.startswith("two single runs of the reference differ by 0.")
    assert "in half of all pairs" in usual
    assert seen.startswith("you saw 3.96 against 4.49; two runs of one and the same model differ as much")
    assert "no sign of two different models" in seen


def test_a_gap_far_beyond_all_pairs_is_hardly_luck():
    _, seen = luck_sentences(luck_of_one_run(np.linspace(0, 1, 200), (0.0, 5.0)).to_dict())
    assert "0 % of all pairs" in seen
    assert "luck alone hardly explains that" in seen


def test_too_few_runs_conclude_nothing():
    _, seen = luck_sentences(luck_of_one_run([1.0, 2.0], (1.0, 9.0)).to_dict())
    assert seen.endswith("2 runs)")


def test_runs_that_came_out_the_same_are_called_so():
    usual, _ = luck_sentences(luck_of_one_run([2.0] * 10, (2.0, 2.1)).to_dict())
    assert usual == "all 10 runs of the reference came out the same"


def test_the_figures_are_json():
    luck = luck_of_one_run([1.0, 2.0], (1.0, 9.0)).to_dict()
    assert luck_sentences(json.loads(json.dumps(luck))) == luck_sentences(luck)
