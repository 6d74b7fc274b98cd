"""Numbers that one side alone compares with what no input moves: a state that builds up, a rare draw."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_kerasequiv.program.layer_names import enclosing_layer, layer_tree
from pytest_kerasequiv.program.limits import ALIKE, compared, depending, few_numbers, is_given
from pytest_kerasequiv.program.nodes import Node, Program
from pytest_kerasequiv.program.partings import Parting

BUILT_UP = 3.0
"""Magnitude up to which a state surely gets in the steps that are compared: a count of calls, for one."""

RARE = 0.01
"""Share of draws below which those that are compared need not hold one."""

FAR = 4.0
"""Magnitude that 1 in 10 000 of normal draws has."""

COMPARING = frozenset({"Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual", "Relu"})

DRAWING = ("Random", "RngUniform", "StatelessRandom")
"""What the names of operations hold that draw random numbers."""


def hidden_apart(reference: Program, candidate: Program) -> tuple[Parting, ...]:
    """Return the numbers that one side alone compares a state or a draw with, out of reach of any input."""
    sides = (reference, candidate), (candidate, reference)
    ours, theirs = (_not_held(dict(_hidden(mine)), other) for mine, other in sides)
    found = [_parting(number, *what, ours=True) for number, what in ours.items()]
    return (*found, *(_parting(number, *what, ours=False) for number, what in theirs.items()))


def _parting(number: float, node: Node, layer: str | None, *, ours: bool) -> Parting:
    text = f"{number:.6g}"
    if ours:
        return Parting(node.part, node.op, "constant", layer, None, text, "none", None)
    return Parting(node.part, node.op, "constant", None, layer, "none", text, None)


def _hidden(program: Program) -> Iterator[tuple[float, tuple[Node, str | None]]]:
    nodes, tree = program.nodes, layer_tree(program.layers)
    by_input = depending(nodes, is_given)
    by_state = depending(nodes, lambda node: node.op.startswith("Assign") or _reads_state(program, node))
    by_draw = depending(nodes, lambda node: any(name in node.op for name in DRAWING))
    by_normal = depending(nodes, lambda node: "Normal" in node.op and any(one in node.op for one in DRAWING))
    for index, source, taker in compared(nodes):
        if by_input[index]:
            continue
        for number in few_numbers(nodes[source]):
            edge = 0 < number < RARE or 1 - RARE < number < 1
            drawn = by_draw[index] and taker.op in COMPARING and edge
            drawn = drawn or (by_normal[index] and abs(number) >= FAR)
            if drawn or (by_state[index] and not by_draw[index] and abs(number) > BUILT_UP):
                yield number, (taker, enclosing_layer(nodes, index, tree))


def _reads_state(program: Program, node: Node) -> bool:
    """Tell whether an operation reads a variable that is not trained, and no state of a seed generator."""
    places = [source for source, _ in node.inputs if program.nodes[source].op == "Variable"]
    variables = [program.variables[place] for place in places]
    return any(not variable.trainable and not variable.seed for variable in variables)


def _not_held(
    found: dict[float, tuple[Node, str | None]], other: Program
) -> dict[float, tuple[Node, str | None]]:
    bodies = (node for body in other.bodies.values() for node in body.nodes)
    held = {number for node in (*other.nodes, *bodies) for number in few_numbers(node)}
    return {n: what for n, what in found.items() if not any(abs(one - n) <= ALIKE * abs(n) for one in held)}
