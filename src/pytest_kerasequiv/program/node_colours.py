"""Colours of nodes: digests of what a node is and what it is made from, never of names or order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from pytest_kerasequiv.program.nodes import Node, Ref

Colour = bytes
Key = TypeVar("Key", bytes, int)

COMMUTATIVE = frozenset({"Add", "AddV2", "AddN", "Mul", "Equal", "NotEqual", "LogicalAnd", "LogicalOr"})
"""Ops of two inputs whose order is ignored. One addition or multiplication rounds the same exact value either
way, so that the result is the same bit by bit (but for the payload of a NaN made of two NaNs); the others are
exact. ``Maximum`` and ``Minimum`` are not among them (+0 and -0), nor is any sum of three."""

ORDERED_DTYPES = frozenset({"string", "variant", "resource", "complex64", "complex128"})
"""Dtypes on which these ops do not commute (strings concatenate) or are not promised to: the parts of a
complex product may be rounded once or twice, as the operands stand."""

MIRRORED = "BroadcastGradientArgs"
"""Which axes to sum for either input of a broadcast: swapping the inputs swaps the outputs."""

MIRROR = {"0": "1", "1": "0", "r0:0": "r1:0", "r1:0": "r0:0"}
FIRST = {"0": "0", "1": "0", "r0:0": "r0:0", "r1:0": "r0:0"}


def symmetric(node: Node) -> bool:
    """Whether the order of the node's inputs is ignored."""
    if node.op == MIRRORED:
        return True
    if node.op not in COMMUTATIVE or len(node.inputs) != 2:
        return False
    return dict(node.attributes).get("T", "bool") not in ORDERED_DTYPES


def fold(
    nodes: Sequence[Node],
    leaves: Sequence[Key],
    combine: Callable[[int, list[tuple[Key, str]]], Key],
) -> tuple[list[Key], list[tuple[Ref, ...]]]:
    """Give every node a key made from the keys of its inputs.

    Args:
        nodes: producers before consumers.
        leaves: the keys of the first nodes.
        combine: makes a node's key from its index and its inputs' (key, output) pairs in canonical order.

    Returns:
        The keys, and each node's inputs with mirrored outputs renamed as the canonical order has them.
    """
    keys = list(leaves)
    arranged: list[tuple[Ref, ...]] = [()] * len(leaves)
    renamed: dict[int, dict[str, str]] = {}
    for index in range(len(leaves), len(nodes)):
        node = nodes[index]
        refs = node.inputs
        if renamed:
            refs = tuple((i, renamed[i][output]) if i in renamed else (i, output) for i, output in refs)
        parts = [(keys[source], output) for source, output in refs]
        if symmetric(node):
            if node.op == MIRRORED and parts[0] >= parts[1]:
                renamed[index] = MIRROR if parts[0] > parts[1] else FIRST
            parts.sort()
        arranged.append(refs)
        keys.append(combine(index, parts))
    return keys, arranged


def digest(*parts: bytes) -> Colour:
    """Return the sha256 digest of the parts, each taken as a whole."""
    state = hashlib.sha256()
    for part in parts:
        state.update(len(part).to_bytes(4, "little"))
        state.update(part)
    return state.digest()


def own_colours(nodes: Sequence[Node]) -> list[Colour]:
    """Return the colour of each node by itself: its op and attributes."""
    known: dict[tuple[str, tuple[tuple[str, str], ...]], Colour] = {}
    colours = []
    for node in nodes:
        key = (node.op, node.attributes)
        if key not in known:
            known[key] = digest(repr(key).encode())
        colours.append(known[key])
    return colours


def forward_colours(
    nodes: Sequence[Node],
    own: Sequence[Colour],
    leaves: Sequence[Colour],
) -> tuple[list[Colour], list[tuple[Ref, ...]]]:
    """Colour each node by all that it is computed from; the first nodes have the colours ``leaves``."""

    def combine(index: int, parts: list[tuple[Colour, str]]) -> Colour:
        return digest(own[index], *(colour + output.encode() for colour, output in parts))

    return fold(nodes, leaves, combine)
