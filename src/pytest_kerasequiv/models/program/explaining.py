"""Where two programs part: the first operation without a counterpart, and the layer it came from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pytest_kerasequiv.models.program.colours import Colour, forward_colours, own_colours
from pytest_kerasequiv.models.program.ir import Node, Program, ProgramDifference
from pytest_kerasequiv.models.program.refining import refiner_of


def first_difference(reference: Program, candidate: Program) -> ProgramDifference | None:
    """Return the first difference in the order of the trace, ``None`` where none can be pointed at."""
    found = _by_operations(reference, candidate) or _by_variables(reference, candidate)
    if found is None:
        return None
    ours, theirs = found
    ours_node = None if ours is None else reference.nodes[ours]
    theirs_node = None if theirs is None else candidate.nodes[theirs]
    layers = tuple(
        None if index is None else layer_of(program, index)
        for program, index in ((reference, ours), (candidate, theirs))
    )
    part = (ours_node or theirs_node or Node("", (), ())).part
    return ProgramDifference(
        part=part,
        reference_op=None if ours_node is None else describe(ours_node),
        candidate_op=None if theirs_node is None else describe(theirs_node),
        reference_layer=layers[0],
        candidate_layer=layers[1],
        message=_message((reference, candidate), ours_node, theirs_node, layers, part),
    )


def layer_of(program: Program, index: int) -> str | None:
    """Return the Keras path of the layer that made an op, or that made what it is computed from."""
    tree = _children(program.layers)
    waiting, seen = [index], {index}
    for current in waiting:
        path = layer_path(program.nodes[current].name, tree)
        if path is not None:
            return path
        if len(waiting) < 64:
            fresh = [source for source, _ in program.nodes[current].inputs if source not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
    return None


def layer_path(name: str, tree: Mapping[str, frozenset[str]]) -> str | None:
    """Map an op's name to the Keras path of the layer in whose scope it was made.

    TensorFlow makes scope names unique by a suffix. Keras opens a layer's scope once before each call, so
    that the ops of layer ``dense`` stand below ``dense_1``, ``dense_3`` …: one suffix is taken off before the
    bare name is tried.
    """
    path = ""
    for component in name.split("/")[:-1]:
        below = tree.get(path, frozenset())
        bare = re.sub(r"_\d+$", "", component)
        found = bare if bare != component and bare in below else component if component in below else None
        if found is not None:
            path = f"{path}/{found}" if path else found
    return path or None


def describe(node: Node) -> str:
    """Return an op in a few words: its type and, for a constant, its value."""
    if node.op != "Const":
        return node.op
    value = dict(node.attributes).get("value", "")
    return f"Const {value.partition(' #')[0]}"


def _children(paths: Sequence[str]) -> dict[str, frozenset[str]]:
    below: dict[str, set[str]] = {}
    for path in paths:
        parent, _, name = path.rpartition("/")
        below.setdefault(parent, set()).add(name)
    return {parent: frozenset(names) for parent, names in below.items()}


def _by_operations(reference: Program, candidate: Program) -> tuple[int | None, int | None] | None:
    """Find the first op on each side that, with all it is computed from, the other side has not."""
    ours, theirs = _weak(reference), _weak(candidate)
    first = (_first_missing(ours, theirs, reference), _first_missing(theirs, ours, candidate))
    return None if first == (None, None) else first


def _weak(program: Program) -> list[Colour]:
    refiner = refiner_of(program)
    return forward_colours(program.nodes, own_colours(program.nodes), refiner.kinds)[0]


def _first_missing(mine: Sequence[Colour], others: Sequence[Colour], program: Program) -> int | None:
    known = set(others)
    start = len(program.variables)
    return next((i for i in range(start, len(mine)) if mine[i] not in known), None)


def _by_variables(reference: Program, candidate: Program) -> tuple[int | None, int | None] | None:
    """Find the first op on each side that uses a variable which, by all its uses, the other side has not."""
    refiners = refiner_of(reference), refiner_of(candidate)
    ours, theirs = (refiner.stable(refiner.kinds) for refiner in refiners)
    first = (_first_use(reference, ours, set(theirs)), _first_use(candidate, theirs, set(ours)))
    return None if first == (None, None) else first


def _first_use(program: Program, colours: Sequence[Colour], known: set[Colour]) -> int | None:
    foreign = {i for i, colour in enumerate(colours) if colour not in known}
    start = len(program.variables)
    uses = (
        i for i in range(start, len(program.nodes)) if any(s in foreign for s, _ in program.nodes[i].inputs)
    )
    return next(uses, None)


def _message(
    programs: tuple[Program, Program],
    ours: Node | None,
    theirs: Node | None,
    layers: Sequence[str | None],
    part: str,
) -> str:
    """Say in one sentence how the two ops differ."""
    where = " and ".join(dict.fromkeys(layer for layer in layers if layer))
    place = f"the {part} programs part" + (f" in {where}" if where else "")
    if ours is None or theirs is None:
        side, node = ("reference", ours) if ours is not None else ("candidate", theirs)
        return f"{place}: only the {side} has {'it' if node is None else describe(node)} there"
    if ours.op != theirs.op:
        return f"{place}: {describe(ours)} in the reference, {describe(theirs)} in the candidate"
    changes = _changes(*programs, ours, theirs)
    if changes:
        return f"{place}: {ours.op} with {'; '.join(changes)}"
    return f"{place}: {describe(ours)} takes other inputs (or shares its variables otherwise)"


def _changes(reference: Program, candidate: Program, ours: Node, theirs: Node) -> list[str]:
    """Say which attributes of two ops of one type differ, looking into functions."""
    mine, others = dict(ours.attributes), dict(theirs.attributes)
    texts = []
    for name in sorted(mine.keys() | others.keys()):
        one, other = mine.get(name, "none"), others.get(name, "none")
        if one != other:
            inner = _inner(reference, candidate, one, other)
            texts.append(
                f"another {name}: {inner}" if inner else f"{name} {_short(one)} against {_short(other)}"
            )
    return texts


@dataclass(frozen=True)
class _Function:
    nodes: Sequence[Node]
    colours: Sequence[Colour]


def _inner(reference: Program, candidate: Program, one: str, other: str) -> str | None:
    """Say where two functions part, given their texts in an attribute."""
    bodies = [
        program.bodies.get(text.removeprefix("function ")[:64])
        for program, text in ((reference, one), (candidate, other))
    ]
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


def _short(text: str) -> str:
    shown = text.partition(" #")[0]
    return shown if len(shown) <= 60 else f"{shown[:57]}…"
