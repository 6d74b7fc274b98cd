"""The draws of a traced training pass, and which of them correspond."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from pytest_kerasequiv.correspondence.draws import Draw, correspond, draws_of, other_rates, seed_pairs
from pytest_kerasequiv.program import trace

L = keras.layers


def drawn(body: Callable[[Any], Any]) -> tuple[Any, ...]:
    inputs = keras.Input((5, 4))
    return draws_of(trace(keras.Model(inputs, body(inputs))))


def test_a_model_without_random_layers_draws_nothing() -> None:
    assert drawn(lambda i: L.Dense(3)(i)) == ()  # noqa: PLW0108 - a layer of the model under test


def test_dropout_draws_once_from_its_seed_and_compares_with_its_rate() -> None:
    (one,) = drawn(lambda i: L.Dropout(0.25)(L.Dense(3)(i)))
    assert one.operation.startswith("StatelessRandomUniform")
    assert len(one.seeds) == 1
    assert "0.25" in str(one.rate)


def test_draws_at_the_same_place_correspond_whatever_their_rate() -> None:
    ours, theirs = (drawn(lambda i, r=r: L.Dense(2)(L.Dropout(r)(L.Dense(3)(i)))) for r in (0.5, 0.4))  # type: ignore[misc]
    pairs = seed_pairs(ours, theirs)
    assert correspond(ours, theirs, pairs)
    assert not correspond(ours, theirs, [])
    assert other_rates(ours, theirs)
    assert not other_rates(ours, ours)


def test_draws_at_another_place_do_not_correspond() -> None:
    before = drawn(lambda i: L.Permute((2, 1))(L.Dropout(0.5)(i)))
    after = drawn(lambda i: L.Dropout(0.5)(L.Permute((2, 1))(i)))
    pairs = [(a, b) for one, other in zip(before, after, strict=True) for a in one.seeds for b in other.seeds]
    assert not correspond(before, after, pairs)


def test_draws_that_share_a_place_are_not_told_apart() -> None:
    twice = drawn(lambda i: L.Concatenate()([L.Dropout(0.5)(i), L.Dropout(0.5)(i)]))
    pairs = [(seed, seed) for one in twice for seed in one.seeds]
    assert not correspond(twice, twice, pairs)


def test_seeds_made_in_another_order_are_paired_by_where_they_are_drawn() -> None:
    def side(seeds: tuple[int, ...]) -> list[Draw]:
        """Return draws each of which hangs on those before it."""
        return [Draw("Uniform", bytes([k]), tuple(sorted(seeds[: k + 1])), None) for k in range(4)]

    ours, theirs = side((0, 1, 2, 3)), side((7, 6, 5, 4))
    assert seed_pairs(ours, theirs) == [(0, 7), (1, 6), (2, 5), (3, 4)]
    assert correspond(ours, theirs, seed_pairs(ours, theirs))
