"""Numbering the variables of hand-made programs: ties, and what looks alike but is not."""

import random

from pytest_kerasequiv.program import refining
from pytest_kerasequiv.program.nodes import Node, Program, ProgramVariable
from pytest_kerasequiv.program.proof import match_programs, verified
from pytest_kerasequiv.program.refining import Refiner, number, search

KIND = ProgramVariable((2,), "float32", True, False, "w")


def program(edges, count, order=None):
    """A program that combines variables pairwise: the result is the sum of `Sub(a, b)` over the edges.

    Each term is returned under the same label, so that the edges are a set: the program is a directed graph.
    """
    place = {old: new for new, old in enumerate(order or range(count))}
    nodes = [Node("Variable", (), ()) for _ in range(count)]
    results = []
    for a, b in edges:
        nodes.append(Node("Sub", (), ((place[a], "0"), (place[b], "0"))))
        nodes.append(Node("result: term", (), ((len(nodes) - 1, "0"),)))
        results.append(len(nodes) - 1)
    variables = (KIND,) * count
    numbering = number(Refiner(nodes, variables, results))
    return Program(
        nodes=tuple(nodes),
        variables=variables,
        results=tuple(results),
        fingerprint=numbering.content.hex(),
        numbering=numbering.order,
        unique=numbering.unique,
    )


def cycle(*members):
    return [(a, b) for a, b in zip(members, (*members[1:], members[0]), strict=True)]


def shuffled(count, seed):
    order = list(range(count))
    random.Random(seed).shuffle(order)
    return order


PATH = [(0, 1), (1, 2), (2, 3)]
ONE_CYCLE = cycle(0, 1, 2, 3, 4, 5)
TWO_CYCLES = [*cycle(0, 1, 2), *cycle(3, 4, 5)]
UNEVEN = [*cycle(0, 1, 2), *cycle(3, 4, 5, 6)]


def test_a_chain_has_no_ties():
    assert program(PATH, 4).unique


def test_cycles_are_tied():
    assert not program(ONE_CYCLE, 6).unique


def test_the_numbering_does_not_depend_on_the_order():
    for edges, count in ((PATH, 4), (ONE_CYCLE, 6), (TWO_CYCLES, 6)):
        fingerprints = {program(edges, count, shuffled(count, seed)).fingerprint for seed in range(8)}
        assert len(fingerprints) == 1


def test_every_order_is_proved():
    for edges, count in ((PATH, 4), (ONE_CYCLE, 6), (TWO_CYCLES, 6), (UNEVEN, 7)):
        reference = program(edges, count)
        for seed in range(8):
            order = shuffled(count, seed)
            candidate = program(edges, count, order)
            match = match_programs(reference, candidate)
            assert match.proved
            pairs = dict(match.variables)
            assert verified(reference, candidate, tuple(pairs.items()))


def test_what_refinement_cannot_tell_apart_is_not_proved():
    """One cycle of six and two of three are alike to colour refinement: one edge in, one out."""
    one, two = program(ONE_CYCLE, 6), program(TWO_CYCLES, 6)
    assert Refiner(one.nodes, one.variables, one.results).stable([b""] * 6) == Refiner(
        two.nodes, two.variables, two.results
    ).stable([b""] * 6)
    match = match_programs(one, two)
    assert not match.proved
    assert "no order of the variables makes them equal" in match.reason


def test_the_verification_trusts_no_proposal():
    reference = program(PATH, 4)
    identity = ((0, 0), (1, 1), (2, 2), (3, 3))
    assert verified(reference, reference, identity)
    assert not verified(reference, reference, ((0, 3), (1, 2), (2, 1), (3, 0)))
    assert not verified(reference, reference, identity[:3])
    assert not verified(reference, reference, ((0, 0), (1, 1), (2, 2), (3, 2)))
    assert not verified(reference, reference, (*identity, (3, 3)))


def test_variables_of_another_kind_never_correspond():
    reference = program(PATH, 4)
    frozen = ProgramVariable((2,), "float32", False, False, "w")
    variables = (KIND, KIND, KIND, frozen)
    candidate = Program(reference.nodes, variables, reference.results, numbering=(0, 1, 2, 3))
    assert not verified(reference, candidate, ((0, 0), (1, 1), (2, 2), (3, 3)))
    assert not match_programs(reference, candidate).proved


def test_a_search_finds_what_an_unlucky_tie_break_misses(monkeypatch):
    """With ties broken by position alone, shuffled cycles get other fingerprints; the search settles it."""
    monkeypatch.setattr(refining, "COLOURED_NODES", 0)
    reference = program(TWO_CYCLES, 6)
    candidates = [program(TWO_CYCLES, 6, shuffled(6, seed)) for seed in range(8)]
    unlucky = [candidate for candidate in candidates if candidate.fingerprint != reference.fingerprint]
    assert unlucky
    monkeypatch.setattr(refining, "COLOURED_NODES", 500_000)
    assert all(match_programs(reference, candidate).proved for candidate in unlucky)


def test_a_search_gives_up_within_its_budget(monkeypatch):
    monkeypatch.setattr(refining, "COLOURED_NODES", 0)
    sides = [
        Refiner(p.nodes, p.variables, p.results) for p in (program(TWO_CYCLES, 6), program(TWO_CYCLES, 6))
    ]
    assert search(*sides) is None


def test_what_is_interchangeable_corresponds_where_it_starts_alike():
    for seed in range(8):
        order = shuffled(6, seed)
        starts = "uuuzzz", ["uuuzzz"[member] for member in order]
        match = match_programs(program(TWO_CYCLES, 6), program(TWO_CYCLES, 6, order), starts)
        assert match.proved
        assert all(starts[0][ours] == starts[1][theirs] for ours, theirs in match.variables)


def test_starts_that_fit_no_order_do_not_keep_programs_from_being_the_same():
    one, two = program(TWO_CYCLES, 6), program(TWO_CYCLES, 6)
    assert match_programs(one, two, (["u"] * 6, ["z"] * 6)).proved
    assert match_programs(one, two, (list("uuuzzz"), list("uzuzuz"))).proved
    assert match_programs(one, program(ONE_CYCLE, 6), (["u"] * 6, ["u"] * 6)).proved is False
