"""What two programs make of texts: no number of probes says of two ways to treat texts that they are one.

Numbers that agree on some inputs say much of arithmetic, which is smooth almost everywhere, and little of
texts: a pattern that is replaced, a prefix that is cut, matter only for texts that hold them. So the
operations on texts must be the same; how their results are computed on is for numbers.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence

from tensorflow.core.framework.types_pb2 import DT_STRING

from pytest_kerasequiv.keras_access.private_modules import op_def_registry
from pytest_kerasequiv.program.attributes import shortened
from pytest_kerasequiv.program.layer_names import enclosing_layer, layer_tree
from pytest_kerasequiv.program.node_colours import Colour, digest
from pytest_kerasequiv.program.nodes import Node, Program
from pytest_kerasequiv.program.partings import Parting

COMPARING = frozenset({"Equal", "NotEqual"})
"""Operations on any dtype that look into texts; others of these only move them."""

CHECKS = frozenset({"Assert"})
"""Operations whose texts are messages."""


def texts_apart(reference: Program, candidate: Program) -> tuple[Parting, ...]:
    """Return the operations on texts that only one side has, made of what they are made of."""
    ours, theirs = _operations(reference), _operations(candidate)
    counts = Counter(ours.values()), Counter(theirs.values())
    mine = _only(reference, ours, counts[0] - counts[1])
    others = _only(candidate, theirs, counts[1] - counts[0])
    if not mine and not others:
        return ()
    (index, one), (other_index, other) = (next(iter(found), (None, None)) for found in (mine, others))
    node = one or other
    assert node is not None
    return (
        Parting(
            node.part,
            node.op,
            "text",
            _layer(reference, index),
            _layer(candidate, other_index),
            _shown(one),
            _shown(other),
            None,
        ),
    )


def _operations(program: Program) -> dict[int, Colour]:
    """Return the operations on texts, each with the colour of all that is done to texts up to it."""
    found: dict[int, Colour] = {}
    made: list[tuple[Colour, ...]] = []
    for index, node in enumerate(program.nodes):
        before = tuple(sorted({colour for source, _ in node.inputs for colour in made[source]}))
        if _is_constant_text(node):
            made.append((digest(repr(node.attributes).encode()),))
        elif _treats_texts(node):
            ordered = [b" ".join(made[source]) for source, _ in node.inputs]
            numbers = [_number(program.nodes[source]) for source, _ in node.inputs]
            found[index] = digest(node.op.encode(), repr((node.attributes, numbers)).encode(), *ordered)
            made.append((found[index],))
        else:
            made.append(before)
    return found


def _only(program: Program, operations: dict[int, Colour], extra: Counter[Colour]) -> list[tuple[int, Node]]:
    return [(index, program.nodes[index]) for index, colour in operations.items() if extra[colour]]


def _treats_texts(node: Node) -> bool:
    if node.op in CHECKS or not node.inputs:
        return False
    if node.op in COMPARING:
        return dict(node.attributes).get("T") == "string"
    return _takes_texts(node.op) or any(name == "Tin" and "string" in text for name, text in node.attributes)


@functools.cache
def _takes_texts(op: str) -> bool:
    """Whether an operation is one on texts, whatever else it takes."""
    definition = op_def_registry.get(op)
    if definition is None:
        return False
    return any(one.type == DT_STRING for one in (*definition.input_arg, *definition.output_arg))


def _is_constant_text(node: Node) -> bool:
    return node.op in {"Const", "Resource"} and any(
        text.startswith(("string", "pair")) for name, text in node.attributes if name in {"value", "content"}
    )


def _number(node: Node) -> str:
    """Return the constant that an operation on texts is given, such as where a text is cut."""
    return dict(node.attributes).get("value", "") if node.op == "Const" else ""


def _layer(program: Program, index: int | None) -> str | None:
    return None if index is None else enclosing_layer(program.nodes, index, layer_tree(program.layers))


def _shown(node: Node | None) -> str:
    """Return an operation with the first thing that it is told."""
    if node is None:
        return "no such operation"
    told: Sequence[str] = [f"{name}={shortened(text)}" for name, text in node.attributes if "s b" in text]
    return " ".join([node.op, *told])
