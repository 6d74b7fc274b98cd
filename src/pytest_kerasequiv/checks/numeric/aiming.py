"""Probes aimed at a pair: the constants over which two programs part, and the sizes that they may be."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from pytest_kerasequiv.program import Program
from pytest_kerasequiv.program.attributes import array_of
from pytest_kerasequiv.program.limits import (
    ALIKE,
    LIMITING,
    LONGEST,
    PASSING,
    SIZES,
    TINY,
    gives_nan,
    sizes_compared,
    thresholds,
)
from pytest_kerasequiv.program.nodes import Node, Ref
from pytest_kerasequiv.program.whole_numbers import guards, narrowed_apart, whole_numbers_apart
from pytest_kerasequiv.running.input_layout import InputLayout
from pytest_kerasequiv.surface.sizes import free_axes, with_sizes
from pytest_kerasequiv.surface.surveys import Survey

MOST = 24
"""How many constants are aimed at."""

LARGEST = 1e12
"""Largest magnitude of a constant that is aimed at."""

FILLING = 2.0**24
"""Magnitude from which on float32 does not tell c + 1 from c: there a number that nothing is compared with
stands for infinity (the -1e9 of masked attention), and is no threshold that values lie about."""

MOST_ELEMENTS = 8
"""Elements of a constant beyond which it is a table, not a threshold."""

LARGEST_SAMPLE = 200_000
"""Most numbers of a sample of such a size, and of a batch of a size that is compared with."""

MOST_BATCHES = 3
"""How many sizes that are compared with are tried as batch sizes."""

LOOKUPS = frozenset({"OneHot", "Gather", "GatherV2", "GatherNd", "ResourceGather", "ResourceGatherNd"})
"""Operations that take indices, which are not negative."""


def aimed(found: Survey, layout: InputLayout, reference: Program, candidate: Program | None) -> Survey:
    """Return a survey with what only the two programs together tell.

    Args:
        found: what the models take.
        layout: the reference's inputs, free axes left free.
        reference: the reference's program.
        candidate: the candidate's; ``None`` where nothing is known of it: it may part over any number that
            the reference compares values with.
    """
    programs = [program for program in (reference, candidate) if program is not None]
    near = _compared_with(reference, layout) if candidate is None else constants_apart(reference, candidate)
    operations = {node.op for program in programs for node in _nodes(program)}
    if all(_only_keeps_finite(nodes) for program in programs for nodes in _parts(program)):
        operations.discard("IsFinite")
    if all(_only_hands_on_nan(nodes) for program in programs for nodes in _parts(program)):
        operations.discard("IsNan")
    traced = all(program.reason is None for program in programs)
    guarded = candidate is not None and guards(reference, candidate)
    return replace(
        found,
        near=near,
        lengths=tuple(_lengths(layout, near)),
        batches=_batches(found.layout, programs),
        signed=traced and (not operations & LOOKUPS or guarded),
        large=traced and whole_numbers_apart(programs),
        beyond=traced and narrowed_apart(programs),
        missing=bool(operations & {"IsNan", "IsFinite"}) and "Assert" not in operations,
        infinite=bool(operations & {"IsInf", "IsFinite"}) and "Assert" not in operations,
    )


def unaimed(
    reference: Program, candidate: Program, layout: InputLayout, counts: Callable[[str], bool]
) -> tuple[float, ...]:
    """Return the numbers that only the candidate compares with: no probe for the reference is aimed there.

    Args:
        reference: the reference's program.
        candidate: the candidate's program.
        layout: the inputs of both, free axes left free.
        counts: tells of the name of an entry whether what is compared in it counts.
    """
    known = [number for _, number in thresholds(reference, _free(layout))]
    found = {number for part, number in thresholds(candidate, _free(layout)) if counts(part)}
    return _smallest(
        one for one in found if not any(math.isclose(one, number, rel_tol=ALIKE) for number in known)
    )


def _batches(settled: InputLayout, programs: Iterable[Program]) -> tuple[int, ...]:
    """Return batch sizes at and above what sizes are compared with, as far as such batches are cheap."""
    asked = sorted({size for program in programs for size, _, _ in sizes_compared(program)})[:MOST_BATCHES]
    sample = max(math.prod(size or 1 for size in spec.shape[1:]) for spec in settled.specs)
    both = sorted({size + more for size in asked for more in (0, 1)})
    return tuple(size for size in both if size * sample <= LARGEST_SAMPLE)


def _compared_with(program: Program, layout: InputLayout) -> tuple[float, ...]:
    found = {number for _, number in thresholds(program, _free(layout))}
    return _smallest(number for number in found if abs(number) <= LARGEST)


def _free(layout: InputLayout) -> set[int]:
    return {axis for _, axis in free_axes(layout)}


def _smallest(numbers: Iterable[float]) -> tuple[float, ...]:
    return tuple(sorted(numbers, key=lambda value: (abs(value), value)))[:MOST]


def constants_apart(reference: Program, candidate: Program) -> tuple[float, ...]:
    """Return the numbers that stand more often in one program than in the other, as few as matter.

    Where they compare otherwise, as by ``>`` instead of ``>=``, all numbers that values are compared with.
    """
    programs = reference, candidate
    ours, theirs = (Counter(_numbers(program)) for program in programs)
    compared = {number for program in programs for _, number in thresholds(program, ())}
    apart = {*(ours - theirs), *(theirs - ours)}
    comparing = [Counter(node.op for node in _nodes(one) if node.op in LIMITING) for one in programs]
    if comparing[0] != comparing[1]:
        apart |= {number for number in compared if abs(number) <= LARGEST}
    return _smallest(number for number in apart if abs(number) < FILLING or number in compared)


def _numbers(program: Program) -> Iterator[float]:
    for node in _nodes(program):
        for _, text in node.attributes:
            # Masks and counts are exercised by any input.
            values = None if text.startswith("i ") else array_of(text)
            if values is not None and values.dtype.kind in "fiu" and values.size <= MOST_ELEMENTS:
                yield from (
                    value for value in map(float, values.flat) if not value or TINY < abs(value) <= LARGEST
                )


def _nodes(program: Program) -> Iterator[Node]:
    for nodes in _parts(program):
        yield from nodes


def _parts(program: Program) -> Iterator[Sequence[Node]]:
    yield program.nodes
    yield from (body.nodes for body in program.bodies.values())


def _only_keeps_finite(nodes: Sequence[Node]) -> bool:
    """Tell whether finite numbers are looked for only as ``logsumexp`` does: of a maximum, to subtract it.

    That changes nothing for finite inputs, and no code of the user's asked for it.
    """
    readers = _readers(nodes)
    place = {id(node): index for index, node in enumerate(nodes)}

    def subtracted(chosen: Node, maximum: Ref) -> bool:
        stopped = all(reader.op == "StopGradient" for reader in readers[place[id(chosen)]])
        return chosen.op == "SelectV2" and chosen.inputs[1] == maximum and stopped

    return all(
        nodes[node.inputs[0][0]].op == "Max"
        and all(subtracted(one, node.inputs[0]) for one in readers[index])
        for index, node in enumerate(nodes)
        if node.op == "IsFinite"
    )


def _only_hands_on_nan(nodes: Sequence[Node]) -> bool:
    """Tell whether NaN is looked for only to return NaN, as ``median`` and ``quantile`` do.

    What is selected by it besides, outside inference, are gradients.
    """
    readers = _readers(nodes)
    place = {id(node): index for index, node in enumerate(nodes)}

    def handed_on(index: int) -> bool:
        further = [reader for reader in readers[index] if reader.op not in SIZES]
        passing = [reader for reader in further if reader.op in PASSING]
        given = [gives_nan(nodes, reader) for reader in further if reader.op not in PASSING]
        enough = all(given) if nodes[index].part == "inference" else any(given) or not given
        return enough and all(handed_on(place[id(reader)]) for reader in passing)

    return all(handed_on(index) for index, node in enumerate(nodes) if node.op == "IsNan")


def _readers(nodes: Sequence[Node]) -> dict[int, list[Node]]:
    readers: dict[int, list[Node]] = defaultdict(list)
    for node in nodes:
        for source, _ in node.inputs:
            readers[source].append(node)
    return readers


def _lengths(layout: InputLayout, near: tuple[float, ...]) -> Iterator[InputLayout]:
    """Yield the inputs with free axes just below, at and above a constant, of others just above."""
    axes = free_axes(layout)
    whole = [int(value) for value in near if value == int(value) and 1 < value < LONGEST]
    for value in whole[:3] if axes else ():
        for more in (-1, 0, 1) if value == whole[0] else (1,):
            sized = with_sizes(layout, dict.fromkeys(axes, value + more))
            if max(math.prod(size or 1 for size in spec.shape[1:]) for spec in sized.specs) <= LARGEST_SAMPLE:
                yield sized
