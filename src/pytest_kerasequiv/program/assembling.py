"""Putting the traced functions of one model together into one program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pytest_kerasequiv.keras_access.called_back import table_content
from pytest_kerasequiv.program.attributes import array_text
from pytest_kerasequiv.program.facts import (
    handles,
    layer_paths,
    settings,
    state_facts,
    unlisted_states,
    variable_facts,
)
from pytest_kerasequiv.program.indices import with_plain_indices
from pytest_kerasequiv.program.layer_names import layer_path, layer_tree
from pytest_kerasequiv.program.node_colours import digest, fold
from pytest_kerasequiv.program.nodes import RESULT, Body, Node, OwnCode, Program, Ref, Unprovable
from pytest_kerasequiv.program.ops import random_ops
from pytest_kerasequiv.program.paddings import with_plain_padding
from pytest_kerasequiv.program.reading import Builder, Library
from pytest_kerasequiv.program.refining import Refiner, alive, number
from pytest_kerasequiv.program.unseen import called_back
from pytest_kerasequiv.weights.variables import variables_of


@dataclass(frozen=True)
class Traced:
    """One traced function.

    Attributes:
        graph: the ``FuncGraph``.
        inputs: what its arguments are called, in their order.
        results: for each output, what it is, and the index of the variable it belongs to or ``None``.
        states: the variables besides the model's that it may use, and their names: of metrics, an optimizer.
        function: what runs it, on tensors in the order of ``inputs``.
    """

    graph: Any
    inputs: Sequence[str]
    results: Sequence[tuple[str, int | None]]
    states: Sequence[tuple[str, Any]] = ()
    function: Any = None


class Assembly:
    """Collects the traced functions of one model into one list of nodes; they share the variables."""

    def __init__(self, model: keras.Model) -> None:
        listed = variables_of(model)
        states = unlisted_states(model, listed)
        self.model = model
        self.variables = [*listed, *states]
        self.facts = [*variable_facts(model, listed), *state_facts(states)]
        self._nodes = [Node("Variable", (), (), fact.path) for fact in self.facts]
        self._results: list[int] = []
        self._bodies: dict[str, Body] = {}
        self._leaves: dict[tuple[str, str, str], int] = {}
        self._entries: list[str] = []
        self._reason: str | None = None
        self._obstacle = ""
        self._random: list[str] = []
        self._unseen: list[OwnCode] = []
        self._whole = True

    def refuse(self, reason: str, op: str = "") -> None:
        """Note why no proof can rest on the program; the first reason counts.

        Args:
            reason: the reason.
            op: name of the op to blame for it.
        """
        if self._reason is None:
            self._reason, self._obstacle = reason, op

    def lack(self, unseen: Iterable[OwnCode]) -> None:
        """Note that an entry could not be traced, and the user's code that would have shown there."""
        self._whole = False
        self._unseen += unseen

    def take(self, part: str, traced: Traced, entry: str = "") -> None:
        """Read a traced function into the program; what cannot be proved of it is refused.

        Args:
            part: goes into each node, for messages.
            traced: the function.
            entry: the entry of the surface that it is, in words.

        Raises:
            Unprovable: it could not be read.
        """
        graph = traced.graph
        if getattr(graph, "deferred_internal_captures", None):
            raise Unprovable("it captures values that are looked up when it runs")
        definition = with_plain_padding(with_plain_indices(graph.as_graph_def(), graph), graph)
        self._random += random_ops(definition)
        self._unseen += called_back(definition, layer_tree(tuple(layer_paths(self.model))))
        library = Library(definition.library.function)
        builder = Builder(library, part, self._nodes)
        for index in range(len(self.variables)):
            builder.handle(index)
        self._bind_arguments(builder, part, traced)
        states = self._bind_captures(builder, part, traced)
        certain = [tensor.op.name for tensor in graph.outputs] + [op.name for op in graph.control_outputs]
        try:
            builder.read(definition.node, certain)
        finally:
            self._bodies.update(library.by_digest)
            for obstacle in library.obstacles:
                self.refuse(str(obstacle), obstacle.op)
        self._take_results(builder, part, traced, states)
        self._entries.append(entry or part)

    def program(self) -> Program:
        """Return what was collected, without the nodes that no result depends on."""
        told, entries = without_idle_plain_call(
            self._nodes, self._results, len(self.variables), self._entries
        )
        nodes, results = alive(self._nodes, told, len(self.variables))
        steering = settings(self.model)
        layers = tuple(layer_paths(self.model))
        tree = layer_tree(layers)
        numbering = None if self._reason else number(Refiner(nodes, self.facts, results))
        content = None if numbering is None else digest(numbering.content, repr(steering).encode()).hex()
        return Program(
            nodes=tuple(nodes),
            variables=tuple(self.facts),
            results=tuple(results),
            bodies=self._bodies,
            layers=layers,
            settings=steering,
            reason=self._reason,
            obstacle=layer_path(self._obstacle, tree),
            fingerprint=content,
            numbering=numbering.order if numbering else (),
            unique=numbering.unique if numbering else True,
            entries=tuple(entries),
            unseen=tuple(self._unseen),
            whole=self._whole,
            random=tuple(sorted({layer_path(name, tree) or self.model.name for name in self._random})),
        )

    def _bind_arguments(self, builder: Builder, part: str, traced: Traced) -> None:
        """Give each argument a leaf by its name and shape; the traced functions share these."""
        graph = traced.graph
        arguments = graph.inputs[: len(graph.inputs) - len(graph.captures)]
        for name, placeholder in zip(traced.inputs, arguments, strict=True):
            dtype, shape = placeholder.dtype.name, str(placeholder.shape)
            if (name, dtype, shape) not in self._leaves:
                node = Node(name, (("dtype", dtype), ("shape", shape)), (), name, part)
                self._leaves[name, dtype, shape] = builder.leaf(node, handle=False)
            builder.bind(placeholder.op.name, self._leaves[name, dtype, shape])

    def _bind_captures(self, builder: Builder, part: str, traced: Traced) -> dict[int, str]:
        """Bind what the function uses besides its arguments: variables by identity, constants by value.

        Returns:
            The states among them: the index of each and its name.
        """
        known = handles(self.variables)
        states = handles([variable for _, variable in traced.states])
        bound: dict[int, str] = {}
        for outer, inner in traced.graph.captures:
            name = inner.op.name
            if id(outer) in known:
                builder.bind(name, known[id(outer)])
            elif id(outer) in states:
                label, variable = traced.states[states[id(outer)]]
                attributes = (("dtype", str(variable.dtype)), ("shape", str(tuple(variable.shape))))
                index = builder.leaf(Node(label, attributes, (), name, part), handle=True)
                builder.bind(name, index)
                bound[index] = label
            elif outer.dtype in (tf.resource, tf.variant):
                builder.bind(name, self._bind_resource(builder, part, outer, inner))
            else:
                kind = object if outer.dtype == tf.string else None
                text = array_text(np.asarray(outer.numpy(), kind), outer.dtype.name)
                node = Node("Const", (("dtype", outer.dtype.name), ("value", text)), (), name, part)
                builder.bind(name, builder.leaf(node, handle=False))
        return bound

    def _bind_resource(self, builder: Builder, part: str, outer: Any, inner: Any) -> int:
        """Give something that is no variable of the model a leaf, with the content of a lookup table."""
        what = outer.dtype.name
        self.refuse(
            f"it uses a {what} that is no variable of the model: a lookup table, an iterator, or a variable "
            "that Keras does not know of",
            inner.op.name,
        )
        content = table_content(outer, inner) if outer.dtype == tf.resource else None
        held = () if content is None else (("content", array_text(np.array(content, object), "pair")),)
        return builder.leaf(Node("Resource", (("dtype", what), *held), (), inner.op.name, part), handle=False)

    def _take_results(self, builder: Builder, part: str, traced: Traced, states: Mapping[int, str]) -> None:
        """Note what is returned, how the variables are left, and other effects."""
        values = [builder.value(tensor.op.name, str(tensor.value_index)) for tensor in traced.graph.outputs]
        for (label, variable), value in zip(traced.results, values, strict=True):
            self._result(label, part, value, variable)
        for index in range(len(self.variables)):
            version = builder.versions[(index, "0")]
            if version != (index, "0"):
                self._result(f"{part} state", part, version, index)
        for index, label in states.items():
            version = builder.versions[(index, "0")]
            if version != (index, "0"):
                self._result(f"{part}: {label}", part, version, None)
        for effect in builder.effects:
            self._result(f"{part} effect", part, (effect, ""), None)

    def _result(self, label: str, part: str, value: Ref, variable: int | None) -> None:
        inputs = (value,) if variable is None else (value, (variable, "of"))
        self._nodes.append(Node(RESULT + label, (), inputs, label, part))
        self._results.append(len(self._nodes) - 1)


PLAIN = "plain call"
"""The entry of calls without ``training``, where a model may tell them from inference."""


def without_idle_plain_call(
    nodes: Sequence[Node], results: Sequence[int], leaves: int, entries: Sequence[str]
) -> tuple[Sequence[int], Sequence[str]]:
    """Return results and entries without the plain call where it comes to just what inference does.

    A model of Keras's layers alone has no such entry, since it cannot tell the two apart.

    Args:
        nodes: the operations, producers first.
        results: which of them are results.
        leaves: how many of them, the first, are variables.
        entries: the entries, in words.
    """
    if not any(one.startswith(PLAIN) for one in entries):
        return results, entries
    table: dict[Any, int] = {}

    def combine(index: int, parts: list[tuple[int, str]]) -> int:
        node = nodes[index]
        told = node.op.replace(f"{PLAIN}, plain", "inference").replace(PLAIN, "inference")
        return table.setdefault((told, node.attributes, tuple(parts)), leaves + len(table))

    numbers, _ = fold(nodes, list(range(leaves)), combine)
    plain, inference = (
        Counter(numbers[i] for i in results if nodes[i].part == part) for part in (PLAIN, "inference")
    )
    if plain != inference:
        return results, entries
    left = [one for one in entries if not one.startswith(PLAIN)]
    return [i for i in results if nodes[i].part != PLAIN], left
