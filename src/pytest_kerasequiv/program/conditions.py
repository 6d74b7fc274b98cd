"""The conditions on inputs that one of two rewritten programs has alone.

Programs of other operations are held to numbers. Where one of them alone asks something of its inputs, these
say nothing of what it does unless some input is so and some other is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_kerasequiv.program.attributes import shortened
from pytest_kerasequiv.program.layer_names import enclosing_layer, layer_tree
from pytest_kerasequiv.program.limits import SIZES, TINY, few_numbers, gives_nan, is_given
from pytest_kerasequiv.program.node_colours import Colour, digest, forward_colours, own_colours
from pytest_kerasequiv.program.nodes import RESULT, Node, Program, Ref

COMPARING = frozenset({"Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual"})
ORDERING = COMPARING - {"Equal", "NotEqual"}
JOINING = frozenset({"LogicalAnd", "LogicalOr", "All", "Any"})


@dataclass(frozen=True)
class Condition:
    """One operation that tells true from false, elementwise.

    Attributes:
        name: its name in the trace of inference.
        operation: its kind.
        numbers: the constants that it takes.
        layer: Keras path of the layer that it came from, where it is known.
    """

    name: str
    operation: str
    numbers: tuple[str, ...]
    layer: str | None

    def __str__(self) -> str:
        return " ".join([self.operation, *map(shortened, self.numbers)])


Conditions = tuple[Condition, ...]


def conditions_apart(reference: Program, candidate: Program) -> tuple[Conditions, Conditions]:
    """Return the conditions on inputs, in inference, that only the reference has, and only the candidate.

    A condition on what was computed otherwise before is no other condition. Integers that are ordered are
    left out: what is no id of a table, or no length, no twin need take.
    """
    if not reference.results or not candidate.results:
        return (), ()
    sides = _Side(reference), _Side(candidate)
    ours = [one for one in sides[0].conditions() if one[0] not in sides[1].known]
    theirs = [one for one in sides[1].conditions() if one[0] not in sides[0].known]
    return _without(ours, theirs), _without(theirs, ours)


def _without(
    found: Sequence[tuple[Colour, Condition]], others: Sequence[tuple[Colour, Condition]]
) -> Conditions:
    """Leave out as many conditions of a kind as the other side has."""
    left = Counter((one.operation, one.numbers) for _, one in others)
    kept = []
    for _, one in found:
        if left[one.operation, one.numbers] > 0:
            left[one.operation, one.numbers] -= 1
        else:
            kept.append(one)
    return tuple(kept)


class _Side:
    """One program: what each operation is computed from, and what is computed from it."""

    def __init__(self, program: Program) -> None:
        self._program = program
        kinds = [digest(repr(variable.kind).encode()) for variable in program.variables]
        self._colours, _ = forward_colours(program.nodes, own_colours(program.nodes), kinds)
        self.known = set(self._colours)

    def conditions(self) -> list[tuple[Colour, Condition]]:
        """Return the conditions on the values of inputs that a result of inference depends on."""
        nodes, tree = self._program.nodes, layer_tree(self._program.layers)
        given, needed = self._given(), self._needed()
        return [
            (
                self._colours[index],
                Condition(node.name, node.op, _constants(nodes, node), enclosing_layer(nodes, index, tree)),
            )
            for index, node in enumerate(nodes)
            if given[index] and needed[index] and _asks(node)
        ]

    def _given(self) -> list[bool]:
        """Return of each operation whether values of inputs, not only their sizes, go into it."""
        found: list[bool] = []
        for node in self._program.nodes:
            found.append(node.op not in SIZES and (is_given(node) or any(found[i] for i, _ in node.inputs)))
        return found

    def _needed(self) -> list[bool]:
        """Return of each operation whether a result of inference other than a check depends on it."""
        nodes = self._program.nodes
        needed = [False] * len(nodes)
        for index in self._program.results:
            needed[index] = (
                nodes[index].part == "inference" and nodes[index].op != f"{RESULT}inference effect"
            )
        for index in range(len(nodes) - 1, -1, -1):
            if needed[index]:
                for source, _ in nodes[index].inputs[_moves_nothing(nodes, nodes[index]) :]:
                    needed[source] = True
        return needed


def _moves_nothing(nodes: Sequence[Node], node: Node) -> bool:
    """Whether a selection puts a number for another next to it, as Keras's argmax does for -0.0; or NaN."""
    if node.op != "SelectV2" or gives_nan(nodes, node):
        return node.op == "SelectV2"
    (asked, _), *branches = node.inputs
    joined = nodes[asked].inputs if nodes[asked].op == "LogicalAnd" else ()
    equalities = [nodes[i] for i in (asked, *(i for i, _ in joined)) if nodes[i].op == "Equal"]
    return any(
        _next_to_it(nodes, equality, kept, put)
        for equality in equalities
        for kept, put in (branches, branches[::-1])
    )


def _next_to_it(nodes: Sequence[Node], equality: Node, kept: Ref, put: Ref) -> bool:
    """Whether a value is asked to be one number, and what is put for it is that number, or next to it."""
    numbers = [few_numbers(nodes[source]) for source, _ in (*equality.inputs, put)]
    at = numbers[1 - equality.inputs.index(kept)] if kept in equality.inputs else []
    return len(at) == len(numbers[-1]) == 1 and abs(at[0] - numbers[-1][0]) <= TINY


def _asks(node: Node) -> bool:
    if node.op in JOINING:
        return True
    if node.op not in COMPARING or len(set(node.inputs)) < len(node.inputs):
        return False
    return not (node.op in ORDERING and "int" in dict(node.attributes).get("T", ""))


def _constants(nodes: Sequence[Node], node: Node) -> tuple[str, ...]:
    taken = [nodes[source] for source, _ in node.inputs]
    return tuple(dict(one.attributes)["value"] for one in taken if few_numbers(one))
