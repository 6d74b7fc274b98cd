"""Where two programs part: the first operation without a counterpart, and the layer it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_kerasequiv.program.attributes import shortened
from pytest_kerasequiv.program.layer_names import enclosing_layer, layer_tree
from pytest_kerasequiv.program.node_colours import Colour, forward_colours, own_colours
from pytest_kerasequiv.program.nodes import RESULT, Node, Program, ProgramDifference
from pytest_kerasequiv.program.refining import alive, refiner_of


class _Side:
    """One program, coloured as far as a look for differences needs it."""

    def __init__(self, program: Program) -> None:
        self.program = program

    @cached_property
    def refined(self) -> list[Colour]:
        """The variables' colours by all their uses."""
        refiner = refiner_of(self.program)
        return refiner.stable(refiner.kinds)

    @cached_property
    def colours(self) -> list[Colour]:
        """All nodes' colours, where variables of one kind are taken as equal."""
        refiner = refiner_of(self.program)
        return forward_colours(self.program.nodes, own_colours(self.program.nodes), refiner.kinds)[0]

    @cached_property
    def tree(self) -> Mapping[str, frozenset[str]]:
        """The names of the layers below each path."""
        return layer_tree(self.program.layers)

    def layer(self, index: int) -> str | None:
        """Return the Keras path of the layer that made an op, or that made what it is computed from."""
        return enclosing_layer(self.program.nodes, index, self.tree)


def first_difference(reference: Program, candidate: Program) -> ProgramDifference | None:
    """Return the first difference in the order of the trace, ``None`` where none can be pointed at.

    Looked for are, in this order: an operation of inference that the other side has not; a variable that the
    other side shares otherwise in inference; then both in training.
    """
    for ours, theirs in _stages(_Side(reference), _Side(candidate)):
        found = _unlike(ours, theirs) or _wired_otherwise(ours, theirs)
        if found is not None:
            return _describe(ours, theirs, *found)
    return None


def describe(node: Node) -> str:
    """Return an op in a few words: its type and, for a constant, its value."""
    if node.op.startswith(RESULT):
        return f"the {node.op.removeprefix(RESULT)}"
    if node.op != "Const":
        return node.op
    return f"Const {shortened(dict(node.attributes).get('value', ''))}"


def _stages(ours: _Side, theirs: _Side) -> Iterator[tuple[_Side, _Side]]:
    yield _Side(_inference(ours.program)), _Side(_inference(theirs.program))
    yield ours, theirs


def _inference(program: Program) -> Program:
    """Return the part of the program that inference needs."""
    results = [index for index in program.results if program.nodes[index].part == "inference"]
    nodes, results = alive(program.nodes, results, len(program.variables))
    return replace(program, nodes=tuple(nodes), results=tuple(results))


def _unlike(ours: _Side, theirs: _Side) -> tuple[int | None, int | None] | None:
    """Find the first op on each side that, with all it is computed from, the other side has not."""
    known = set(ours.colours), set(theirs.colours)
    first = _first_missing(ours, known[1]), _first_missing(theirs, known[0])
    if first == (None, None):
        return None
    return _taker(ours, first[0]), _taker(theirs, first[1])


def _first_missing(side: _Side, known: set[Colour]) -> int | None:
    start = len(side.program.variables)
    return next((i for i in range(start, len(side.colours)) if side.colours[i] not in known), None)


def _taker(side: _Side, index: int | None) -> int | None:
    """Go from an unknown constant to the op that takes it: that op says more."""
    if index is None or side.program.nodes[index].op != "Const":
        return index
    later = range(index + 1, len(side.colours))
    taking = (i for i in later if any(source == index for source, _ in side.program.nodes[i].inputs))
    return next(taking, index)


def _wired_otherwise(ours: _Side, theirs: _Side) -> tuple[int | None, int | None] | None:
    """Find the first op on each side that uses a variable which, by all its uses, the other side has not."""
    first = _first_use(ours, set(theirs.refined)), _first_use(theirs, set(ours.refined))
    return None if first == (None, None) else first


def _first_use(side: _Side, known: set[Colour]) -> int | None:
    foreign = {i for i, colour in enumerate(side.refined) if colour not in known}
    start = len(side.program.variables)
    nodes = side.program.nodes
    return next((i for i in range(start, len(nodes)) if any(s in foreign for s, _ in nodes[i].inputs)), None)


def _describe(ours: _Side, theirs: _Side, one: int | None, other: int | None) -> ProgramDifference:
    mine = None if one is None else ours.program.nodes[one]
    others = None if other is None else theirs.program.nodes[other]
    layers = (None if one is None else ours.layer(one), None if other is None else theirs.layer(other))
    node = mine or others
    part = node.part if node is not None else ""
    where = " and ".join(dict.fromkeys(layer for layer in layers if layer))
    if not where and node is not None and "compile_loss" in node.name:
        where = "the compiled loss"
    what = _what(ours, theirs, one, other)
    return ProgramDifference(
        part=part,
        reference_op=None if mine is None else describe(mine),
        candidate_op=None if others is None else describe(others),
        reference_layer=layers[0],
        candidate_layer=layers[1],
        message=f"{_programs(part)} part" + (f" in {where}" if where else "") + f": {what}",
    )


def _programs(part: str) -> str:
    return f"the {part} programs" if part in {"inference", "training"} else f"the programs of {part!r}"


def _what(ours: _Side, theirs: _Side, one: int | None, other: int | None) -> str:
    """Say how two ops differ, or that one side has no more."""
    if one is None or other is None:
        side, program, index = (
            ("reference", ours.program, one) if other is None else ("candidate", theirs.program, other)
        )
        return f"only the {side} has {'more' if index is None else describe(program.nodes[index])} there"
    mine, others = ours.program.nodes[one], theirs.program.nodes[other]
    if mine.op != others.op:
        return f"{describe(mine)} in the reference, {describe(others)} in the candidate"
    programs = ours.program, theirs.program
    changes = _changes(*programs, mine, others) or _inputs(*programs, mine, others)
    if changes:
        return f"{mine.op} with {'; '.join(changes)}"
    return f"{describe(mine)} takes other inputs, or shares its variables otherwise"


def _changes(reference: Program, candidate: Program, ours: Node, theirs: Node) -> list[str]:
    """Say which attributes of two ops of one type differ, looking into functions."""
    mine, others = dict(ours.attributes), dict(theirs.attributes)
    texts = []
    for name in sorted(mine.keys() | others.keys()):
        one, other = mine.get(name, "none"), others.get(name, "none")
        if one != other:
            inner = _inner(reference, candidate, one, other)
            plain = f"{name} {shortened(one)} against {shortened(other)}"
            texts.append(f"another {name}: {inner}" if inner else plain)
    return texts


def _inputs(reference: Program, candidate: Program, ours: Node, theirs: Node) -> list[str]:
    """Say which direct inputs of two ops are another variable, constant or kind of op."""
    texts = []
    for position, ((one, _), (other, _)) in enumerate(zip(ours.inputs, theirs.inputs, strict=False)):
        mine, others = _input(reference, one), _input(candidate, other)
        if mine != others:
            texts.append(f"input {position} {mine} against {others}")
    return texts


def _input(program: Program, index: int) -> str:
    return str(program.variables[index]) if index < len(program.variables) else describe(program.nodes[index])


@dataclass(frozen=True)
class _Function:
    nodes: Sequence[Node]
    colours: Sequence[Colour]


def _inner(reference: Program, candidate: Program, one: str, other: str) -> str | None:
    """Say where two functions part, given their texts in an attribute."""
    texts = ((reference, one), (candidate, other))
    bodies = [program.bodies.get(text.removeprefix("function ")[:64]) for program, text in texts]
    if bodies[0] is None or bodies[1] is None:
        return None
    ours, theirs = (
        _Function(body.nodes, forward_colours(body.nodes, own_colours(body.nodes), [])[0])
        for body in bodies
        if body is not None
    )
    firsts = [_first_unknown(ours, theirs), _first_unknown(theirs, ours)]
    if firsts == [None, None]:
        return "it returns its values otherwise"
    words = [f"{describe(node)} ({node.name})" if node else "nothing" for node in firsts]
    return f"{words[0]} in the reference, {words[1]} in the candidate"


def _first_unknown(mine: _Function, others: _Function) -> Node | None:
    known = set(others.colours)
    return next(
        (node for node, colour in zip(mine.nodes, mine.colours, strict=True) if colour not in known), None
    )
