"""Numbers that one side alone compares with what inputs need not move there.

A state that builds up, a rare draw; a gradient or a loss: nobody knows how large they get in training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_kerasequiv.program.layer_names import enclosing_layer, layer_tree
from pytest_kerasequiv.program.limits import ALIKE, LIMITING, compared, depending, few_numbers, is_given
from pytest_kerasequiv.program.nodes import Node, Program
from pytest_kerasequiv.program.partings import Parting

BUILT_UP = 3.0
"""Magnitude up to which a state surely gets in the steps that are compared: a count of calls, for one."""

RARE = 0.01
"""Share of draws below which those that are compared need not hold one."""

FAR = 4.0
"""Magnitude that 1 in 10 000 of normal draws has."""

LARGEST_SHARE = 1.0
"""What losses compare with up to this are probabilities and the like, which probes cross or come close to."""

COMPUTED = frozenset({"inference", "loss and metrics"})
"""Entries whose limits are tried by inputs, and by targets and outputs, aimed at them."""

COMPARING = frozenset({"Greater", "GreaterEqual", "Less", "LessEqual", "Equal", "NotEqual", "Relu"})

DRAWING = ("Random", "RngUniform", "StatelessRandom")
"""What the names of operations hold that draw random numbers."""


def hidden_apart(reference: Program, candidate: Program) -> tuple[Parting, ...]:
    """Return the numbers that one side alone compares a state or a draw with, out of reach of any input.

    Likewise those that it alone limits gradients and losses by; of gradients, that it limits by as it does.
    """
    sides = (reference, candidate), (candidate, reference)
    ours, theirs = (
        [*_not_held(_hidden(mine), other), *_gradients_not_limited_so(mine, other)] for mine, other in sides
    )
    found = [_parting(number, *what, ours=True) for number, what in ours]
    return tuple(dict.fromkeys([*found, *(_parting(n, *what, ours=False) for n, what in theirs)]))


def _parting(number: float, node: Node, layer: str | None, *, ours: bool) -> Parting:
    text = f"{number:.6g}"
    if ours:
        return Parting(node.part, node.op, "constant", layer, None, text, "none", None)
    return Parting(node.part, node.op, "constant", None, layer, "none", text, None)


Hidden = tuple[float, tuple[Node, str | None]]
"""A number, the operation that compares with it, and its layer."""


def _hidden(program: Program) -> Iterator[Hidden]:
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
    for number, index, of_gradient in _in_training(program):
        if abs(number) > LARGEST_SHARE and not of_gradient:
            yield number, (nodes[index], enclosing_layer(nodes, index, tree))


def _gradients_not_limited_so(program: Program, other: Program) -> Iterator[Hidden]:
    """Yield the limits of gradients that another program has not, or by another operation."""
    tree, nodes = layer_tree(program.layers), program.nodes
    known = {(other.nodes[i].op, number) for number, i, of_gradient in _in_training(other) if of_gradient}
    for number, index, of_gradient in _in_training(program):
        if of_gradient and not any(op == nodes[index].op and _near(number, one) for op, one in known):
            yield number, (nodes[index], enclosing_layer(nodes, index, tree))


def _in_training(program: Program) -> Iterator[tuple[float, int, bool]]:
    """Yield what is compared with in training alone, by which operation, and whether it is a gradient."""
    nodes = program.nodes
    by_input = depending(nodes, is_given)
    of_gradient = _of_gradients(nodes)
    known = {number for node in nodes if node.part in COMPUTED for number in _bounds(nodes, node)}
    for index, node in enumerate(nodes):
        if node.part not in COMPUTED and by_input[index]:
            limited = any(of_gradient[source] for source, _ in node.inputs)
            yield from ((n, index, limited) for n in _bounds(nodes, node) if n and n not in known)


def _of_gradients(nodes: Sequence[Node]) -> list[bool]:
    """Return of each operation whether it is computed from gradients; what is read after a step is not."""
    found: list[bool] = []
    for node in nodes:
        taken = not node.op.startswith("Assign") and any(found[source] for source, _ in node.inputs)
        found.append("gradient_tape" in node.name or taken)
    return found


def _bounds(nodes: Sequence[Node], node: Node) -> Iterator[float]:
    """Yield the numbers that an operation compares with; of the reciprocal of a number, that number."""
    for source, _ in node.inputs if node.op in LIMITING else ():
        parts = [i for i, _ in nodes[source].inputs] if nodes[source].op == "RealDiv" else [source]
        if all(nodes[i].op == "Const" for i in parts):
            yield from few_numbers(nodes[parts[-1]])


def _reads_state(program: Program, node: Node) -> bool:
    """Tell whether an operation reads a variable that is not trained, and no state of a seed generator."""
    places = [source for source, _ in node.inputs if program.nodes[source].op == "Variable"]
    variables = [program.variables[place] for place in places]
    return any(not variable.trainable and not variable.seed for variable in variables)


def _not_held(found: Iterable[Hidden], other: Program) -> Iterator[Hidden]:
    bodies = (node for body in other.bodies.values() for node in body.nodes)
    held = {number for node in (*other.nodes, *bodies) for number in few_numbers(node)}
    for number, what in dict(found).items():
        if not any(_near(number, one) for one in held):
            yield number, what


def _near(number: float, other: float) -> bool:
    return abs(other - number) <= ALIKE * abs(number)
