"""Aligning rows: least edits, in order, quickly."""

import functools
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_kerasequiv.checks.tables.row_alignment import align, differing
from pytest_kerasequiv.layers.summary_rows import Row


def row(kind, shape=(None, 3), parameters=0, into=(None, 3)):
    return Row(f"model/{kind}", kind, (shape,), parameters, None, (into,))


rows = st.lists(
    st.builds(
        row,
        st.sampled_from(["Dense", "Dropout", "LSTM"]),
        st.sampled_from([(None, 3), (None, 4)]),
        st.sampled_from([0, 7]),
    ),
    max_size=8,
)


@settings(max_examples=200, deadline=None)
@given(rows, rows)
def test_every_row_is_in_one_pairing_in_order(reference, candidate):
    pairings = align(reference, candidate)
    assert [p.reference for p in pairings if p.reference is not None] == list(range(len(reference)))
    assert [p.candidate for p in pairings if p.candidate is not None] == list(range(len(candidate)))
    for pairing in pairings:
        if pairing.reference is not None and pairing.candidate is not None:
            assert pairing.fields == differing(reference[pairing.reference], candidate[pairing.candidate])


@settings(max_examples=200, deadline=None)
@given(rows)
def test_equal_rows_pair_up(reference):
    assert all(p.reference == p.candidate and not p.fields for p in align(reference, reference))


@settings(max_examples=200, deadline=None)
@given(rows, st.data())
def test_one_inserted_row_is_one_gap(reference, data):
    place = data.draw(st.integers(0, len(reference)))
    candidate = [*reference[:place], row("Extra", (None, 9)), *reference[place:]]
    differences = [
        p for p in align(reference, candidate) if p.fields or p.reference is None or p.candidate is None
    ]
    assert len(differences) == 1
    assert differences[0].candidate == place


def cost(reference, candidate):
    weights = {"kind": 12, "output_shapes": 3, "parameters": 2, "trainable": 2}
    return sum(weights[name] for name in differing(reference, candidate))


@settings(max_examples=100, deadline=None)
@given(rows, rows)
def test_no_cheaper_alignment_exists(reference, candidate):
    @functools.cache
    def least(i, j):
        if not i or not j:
            return 10 * (i + j)
        pair = least(i - 1, j - 1) + cost(reference[i - 1], candidate[j - 1])
        return min(pair, least(i - 1, j) + 10, least(i, j - 1) + 10)

    found = sum(
        10
        if p.reference is None or p.candidate is None
        else cost(reference[p.reference], candidate[p.candidate])
        for p in align(reference, candidate)
    )
    assert found == least(len(reference), len(candidate))


def test_consequences():
    one = [row("Conv1D", (None, 9, 4), 8, (None, 20, 2)), row("LSTM", (None, 9, 5), 50, (None, 9, 4))]
    shorter = [row("Conv1D", (None, 7, 4), 8, (None, 20, 2)), row("LSTM", (None, 7, 5), 50, (None, 7, 4))]
    assert [p.consequence for p in align(one, shorter)] == [False, True]
    more_units = [row("Conv1D", (None, 7, 4), 8, (None, 20, 2)), row("LSTM", (None, 7, 6), 60, (None, 7, 4))]
    assert [p.consequence for p in align(one, more_units)] == [False, False]


def test_a_normalisation_follows_its_input():
    one = [row("BatchNormalization", (None, 4), 16, (None, 4))]
    other = [row("BatchNormalization", (None, 5), 20, (None, 5))]
    assert align(one, other)[0].consequence


def test_another_rank_is_no_consequence():
    one, other = [row("Dense", (None, 4), 16, (None, 4))], [row("Dense", (None, 2, 4), 16, (None, 2, 4))]
    assert not align(one, other)[0].consequence


def test_a_thousand_rows_take_less_than_two_seconds():
    reference = [row("Dense", (None, n), n) for n in range(1000)]
    candidate = [*reference[:500], row("Dropout"), *reference[500:]]
    started = time.perf_counter()
    pairings = align(reference, candidate)
    assert time.perf_counter() - started < 2
    assert [p.candidate for p in pairings if p.reference is None] == [500]
