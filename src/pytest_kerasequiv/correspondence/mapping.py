"""Finding the map of variables: from the proved program, the layer graph, or the order of use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_kerasequiv.correspondence.assigning import assign_variables
from pytest_kerasequiv.correspondence.carrying import carries
from pytest_kerasequiv.correspondence.draws import draws_of, seed_pairs
from pytest_kerasequiv.correspondence.hypotheses import Side, hypotheses
from pytest_kerasequiv.correspondence.known import Known, elements
from pytest_kerasequiv.correspondence.uses import certain_pairs, uses_of
from pytest_kerasequiv.correspondence.variable_map import Pairs, Source, VariableMap
from pytest_kerasequiv.layers.matching import Match
from pytest_kerasequiv.program import Program, ProgramMatch

Sides = tuple[Sequence[Known], Sequence[Known]]


def possible_maps(
    reference: Sequence[Known],
    candidate: Sequence[Known],
    *,
    layer_match: Match | None,
    program_match: ProgramMatch | None,
    programs: tuple[Program, Program] | None,
) -> tuple[VariableMap, ...]:
    """Return the maps of the variables that are possible, the likeliest first; one where it is certain.

    Args:
        reference: the reference's variables.
        candidate: the candidate's.
        layer_match: how the layers correspond; ``None`` where a side has no layer graph.
        program_match: whether the traced programs are the same; ``None`` to do without.
        programs: both programs, whose order of use counts where they are not the same.
    """
    sides = reference, candidate
    if program_match is not None and program_match.proved:
        symmetries = layer_match.symmetries if layer_match is not None else ()
        return (_finished(program_match.variables, "program", sides, symmetries=symmetries),)
    mapped = _from_graph(layer_match, sides) if layer_match is not None else None
    if layer_match is not None and mapped is not None and layer_match.isomorphic and not mapped.assigned:
        return (mapped,)
    if programs is not None:
        found = _from_uses(sides, programs, layer_match)
        if found:
            return found
    left = mapped or _assigned(sides)
    return (_unless_repacked(left if programs is None else _without_idle(left, sides, programs), sides),)


def _without_idle(mapped: VariableMap, sides: Sides, programs: tuple[Program, Program]) -> VariableMap:
    """Count states without a partner that nothing reads or writes as dead: an adapted Normalization has such.

    It computes with constants that are made from them.
    """
    left = mapped.unmapped_reference, mapped.unmapped_candidate
    dead = []
    for side, program, unmapped in zip(sides, programs, left, strict=True):
        touched = {place for node in program.nodes for place, _ in node.inputs}
        known = program.reason is None and bool(program.nodes)
        dead.append({i for i in unmapped if known and not side[i].trainable and i not in touched})
    ours, theirs = dead[0].union(mapped.dead_reference), dead[1].union(mapped.dead_candidate)
    needed = [sides[0][i] for i in left[0] if i not in ours] + [
        sides[1][j] for j in left[1] if j not in theirs
    ]
    return replace(
        mapped,
        dead_reference=tuple(sorted(ours)),
        dead_candidate=tuple(sorted(theirs)),
        complete=all(one.seed for one in needed),
    )


def _unless_repacked(mapped: VariableMap, sides: Sides) -> VariableMap:
    """Return a map that lacks partners as certain, but where both sides hold equally many numbers.

    One Dense of 3 n units may then stand for three of n; else one side has what the other has not.
    """
    totals = [[elements(side, trainable=trained) for trained in (True, False)] for side in sides]
    if mapped.complete:
        return mapped
    return replace(mapped, certain=totals[0] != totals[1])


def _assigned(sides: Sides) -> VariableMap:
    pairs, ambiguous = assign_variables(*sides)
    return replace(_finished(pairs, "hypothesis", sides, symmetries=ambiguous), certain=False, rivals=None)


def _from_uses(
    sides: Sides, programs: tuple[Program, Program], layer_match: Match | None
) -> tuple[VariableMap, ...]:
    """Return the maps that shapes and the order of use allow; none where some variable has no partner."""
    dead = (layer_match.dead_reference, layer_match.dead_candidate) if layer_match is not None else ((), ())
    open_ = [
        [i for i, one in enumerate(side) if not one.seed and i not in out]
        for side, out in zip(sides, dead, strict=True)
    ]
    uses = [uses_of(program, len(side)) for program, side in zip(programs, sides, strict=True)]
    fixed = _fixed(certain_pairs(*uses), layer_match, sides, open_)
    hints = dict(layer_match.variables) if layer_match is not None else {}
    reference, candidate = (
        Side(side, which, used) for side, which, used in zip(sides, open_, uses, strict=True)
    )
    found = hypotheses(reference, candidate, fixed=fixed, hints=hints)
    seeds = _seeds(sides, hints, programs)
    source: Source = "use" if found.forced else "hypothesis"
    rivals = 0 if found.forced else len(found.maps) - 1 if found.exhausted else None
    return tuple(
        replace(
            _finished((*sorted(one), *seeds), source, sides, dead=dead, free=True),
            carried={pair: way for pair, way in one.items() if way.axes is not None},
            certain=found.forced,
            rivals=rivals,
        )
        for one in found.maps
    )


def _fixed(
    by_program: Mapping[int, int], layer_match: Match | None, sides: Sides, open_: Sequence[Sequence[int]]
) -> dict[int, int]:
    """Return the pairs that program or graph are sure of; none on which the two do not agree."""
    by_graph = dict(layer_match.told) if layer_match is not None else {}
    fixed = {}
    back = {other: index for index, other in by_graph.items()}
    for index, other in {**by_graph, **by_program}.items():
        agreed = by_graph.get(index, other) == other and back.get(other, index) == index
        fits = carries(sides[0][index].shape, sides[1][other].shape)
        if agreed and fits and index in open_[0] and other in open_[1]:
            fixed[index] = other
    return fixed


def _seeds(sides: Sides, hints: Mapping[int, int], programs: tuple[Program, Program]) -> Pairs:
    """Pair the states of seed generators: by the graph, by where they are drawn from, the rest in order."""
    known = [(i, j) for i, j in hints.items() if sides[0][i].seed and sides[1][j].seed]
    taken = {i for i, _ in known}, {j for _, j in known}
    drawn = seed_pairs(draws_of(programs[0]), draws_of(programs[1]))
    known += [(i, j) for i, j in drawn if i not in taken[0] and j not in taken[1]]
    left, right = (
        [i for i, one in enumerate(side) if one.seed and i not in {pair[place] for pair in known}]
        for place, side in enumerate(sides)
    )
    return (*known, *zip(left, right, strict=False))


def _from_graph(layer_match: Match, sides: Sides) -> VariableMap:
    """Map by the layers that correspond; assign what is left over where it is not ambiguous."""
    dead = layer_match.dead_reference, layer_match.dead_candidate
    pairs = layer_match.variables
    left = _rest(range(len(sides[0])), {*(index for index, _ in pairs), *dead[0]})
    right = _rest(range(len(sides[1])), {*(other for _, other in pairs), *dead[1]})
    found, ambiguous = assign_variables([sides[0][i] for i in left], [sides[1][j] for j in right])
    doubtful = {left[i] for parts, _ in ambiguous for (i,) in parts}
    assigned = tuple((left[i], right[j]) for i, j in found if left[i] not in doubtful)
    mapped = _finished((*pairs, *assigned), "graph", sides, symmetries=layer_match.symmetries, dead=dead)
    weights = tuple(pair for pair in assigned if not sides[0][pair[0]].seed)
    return replace(mapped, pairs=tuple(sorted(mapped.pairs)), assigned=weights)


def _finished(
    pairs: Pairs,
    source: Source,
    sides: Sides,
    *,
    symmetries: Any = (),
    dead: tuple[Sequence[int], Sequence[int]] = ((), ()),
    free: bool = False,
) -> VariableMap:
    """Part the pairs that fit from those that do not, and list what is left on each side.

    Where layers or roles pair variables, only axes of length 1 may come or go, unless ``free``.
    """
    ours, theirs = sides
    fitting = tuple(pair for pair in pairs if free or _alike(ours[pair[0]].shape, theirs[pair[1]].shape))
    left = _rest(range(len(ours)), {index for index, _ in fitting})
    right = _rest(range(len(theirs)), {other for _, other in fitting})
    needed = [ours[i] for i in left if i not in dead[0]] + [theirs[j] for j in right if j not in dead[1]]
    return VariableMap(
        pairs=fitting,
        source=source,
        unmapped_reference=left,
        unmapped_candidate=right,
        unlike=tuple(pair for pair in pairs if pair not in set(fitting)),
        ambiguous=tuple(parts for parts, _ in symmetries),
        dead_reference=tuple(dead[0]),
        dead_candidate=tuple(dead[1]),
        complete=all(one.seed for one in needed),
    )


def _alike(shape: Sequence[int], other: Sequence[int]) -> bool:
    return any(way.kind in ("same", "ones") for way in carries(shape, other))


def _rest(indices: Sequence[int], used: set[int]) -> tuple[int, ...]:
    return tuple(index for index in indices if index not in used)
