"""From TensorFlow's graph messages to canonical nodes: names gone, order of effects turned into data edges.

The order in which a variable is read and written is fixed in a traced function by control edges. Here each
write makes a new *version* of the variable's value, and each read consumes the version it sees. The nodes
then say by data edges alone what depends on what, and the control edges can be dropped. Where they do not
force the order of two accesses of one variable, one of them a write, nothing is proved.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import tensorflow as tf

from pytest_kerasequiv.program.attributes import DROPPED_OF_FUNCTIONS, attribute_texts
from pytest_kerasequiv.program.node_colours import Colour, digest, forward_colours, own_colours
from pytest_kerasequiv.program.nodes import Body, Node, Ref, Unprovable
from pytest_kerasequiv.program.ops import (
    CALLS,
    EFFECTS,
    IDENTITIES,
    LOOPS,
    OPAQUE,
    READS,
    WRITES,
    hidden_state,
)

Attributes = tuple[tuple[str, str], ...]


class Library:
    """The functions of one graph, each read once.

    Attributes:
        obstacles: what was read and cannot be proved, in the order of reading.
    """

    def __init__(self, functions: Iterable[Any]) -> None:
        self.obstacles: list[Unprovable] = []
        self._functions = {function.signature.name: function for function in functions}
        self._bodies: dict[str, Body] = {}
        self._reading: set[str] = set()
        self._attributes: dict[Attributes, Attributes] = {}

    def shared(self, attributes: Attributes) -> Attributes:
        """Return equal attributes that were given before, so that all nodes alike hold one object."""
        return self._attributes.setdefault(attributes, attributes)

    @property
    def by_digest(self) -> dict[str, Body]:
        """The functions that were read, by the digest of their content."""
        return {body.digest: body for body in self._bodies.values()}

    def body(self, name: str) -> Body:
        """Return a function's content.

        Raises:
            Unprovable: it does something whose sameness cannot be shown.
        """
        if name not in self._bodies:
            if name in self._reading or name not in self._functions:
                raise Unprovable(f"function {name} calls itself or is not in the graph")
            self._reading.add(name)
            self._bodies[name] = _read_function(self._functions[name], self)
        return self._bodies[name]

    def text(self, function: Any) -> str:
        """Return what stands in an attribute for the function it names."""
        extra = attribute_texts(function.attr, self.text)
        return f"function {self.body(function.name).digest}{extra or ''}"


class Builder:
    """Reads the nodes of one graph or function into canonical nodes.

    Args:
        library: the functions that the nodes may call.
        part: goes into each node, for messages.
        nodes: the list to append to; by default a new one.
    """

    def __init__(self, library: Library, part: str = "", nodes: list[Node] | None = None) -> None:
        self.nodes: list[Node] = [] if nodes is None else nodes
        self.effects: list[int] = []
        self.versions: dict[Ref, Ref] = {}
        self._library = library
        self._part = part
        self._indices: dict[str, int] = {}
        self._aliases: dict[tuple[str, str], Ref] = {}
        self._writers: dict[Ref, str] = {}
        self._readers: dict[Ref, list[str]] = {}
        self._raws: dict[str, Raw] = {}

    def leaf(self, node: Node, *, handle: bool) -> int:
        """Add a leaf; ``handle`` says that it is a variable, which ops reach by its handle."""
        self.nodes.append(node)
        index = len(self.nodes) - 1
        if handle:
            self.handle(index)
        return index

    def handle(self, index: int) -> Ref:
        """Say that a leaf is a variable, and return its first version."""
        self.versions[(index, "0")] = (index, "0")
        return index, "0"

    def bind(self, name: str, index: int) -> None:
        """Let placeholder or argument ``name`` stand for a leaf."""
        self._indices[name] = index

    def value(self, name: str, output: str) -> Ref:
        """Return the value that output ``output`` of the node called ``name`` is."""
        if (name, output) in self._aliases:
            return self._aliases[(name, output)]
        if name not in self._indices:
            raise Unprovable(f"value {name}:{output} is not made by the graph")
        return self._indices[name], output

    def read(self, nodes: Iterable[Any], certain: Sequence[str]) -> None:
        """Read the nodes; those named in ``certain``, and all that they wait for, are sure to run."""
        raws = [take_apart(node) for node in nodes]
        self._raws = {raw.name: raw for raw in raws}
        running = ancestors(self._raws, certain)
        for raw in in_order(raws):
            if raw.op != "NoOp" and raw.name not in self._indices:
                self._read_one(raw, raw.name in running)

    def _read_one(self, raw: Raw, runs: bool) -> None:
        inputs = [self.value(*source) for source in raw.inputs]
        if raw.op in IDENTITIES:
            for position, ref in enumerate(inputs):
                self._alias(raw.name, position, ref)
            return
        written, read, effect = self._uses(raw, inputs)
        if (written or effect) and not runs:
            self._note(raw, "has an effect but is not certain to run")
        index = len(self.nodes)
        seen = [self.versions.get(ref, ref) for ref in inputs]
        self._order(raw, [inputs[i] for i in read], [inputs[i] for i in written])
        for position in written:
            self.versions[inputs[position]] = (index, f"state:{position}")
        if effect:
            self.effects.append(index)
        attributes = attribute_texts(raw.attributes, partial(self._text, raw))
        if raw.device:
            attributes = (*attributes, ("device", raw.device))
        attributes = self._library.shared(attributes)
        self.nodes.append(Node(raw.op, attributes, tuple(seen), raw.name, self._part))
        self._indices[raw.name] = index
        if raw.op in LOOPS:
            for position in (*read, *written):
                self._alias(raw.name, position, inputs[position])

    def _note(self, raw: Raw, why: str) -> None:
        """Note that nothing that holds this op is proved; what it is and takes is read all the same."""
        self._library.obstacles.append(raw.obstacle(why))

    def _text(self, raw: Raw, function: Any) -> str:
        if raw.op not in CALLS:
            self._note(raw, f"runs function {function.name} in a way that is not known")
        return self._library.text(function)

    def _alias(self, name: str, position: int, ref: Ref) -> None:
        for output in (str(position), f"output:{position}"):
            self._aliases[(name, output)] = ref

    def _uses(self, raw: Raw, inputs: Sequence[Ref]) -> tuple[list[int], list[int], bool]:
        """Return the input positions of variables written and read, and whether the op has another effect."""
        if raw.op in OPAQUE:
            self._note(raw, f"cannot be compared: {OPAQUE[raw.op]}")
            return [], [], False
        handles = [position for position, ref in enumerate(inputs) if ref in self.versions]
        if raw.op in READS or raw.op in WRITES:
            if handles != [0]:
                self._note(raw, "works on a resource that is no variable of the model")
                return [], [], False
            return ([0], [], False) if raw.op in WRITES else ([], [0], False)
        if raw.op in CALLS:
            return self._uses_of_call(raw, inputs, handles)
        if handles:
            self._note(raw, "takes a variable's handle; how it uses it is not known")
        elif raw.op not in EFFECTS and (obstacle := hidden_state(raw.op)):
            self._note(raw, obstacle)
        return [], [], raw.op in EFFECTS

    def _uses_of_call(
        self, raw: Raw, inputs: Sequence[Ref], handles: Sequence[int]
    ) -> tuple[list[int], list[int], bool]:
        names, offset = CALLS[raw.op]
        bodies = [
            self._library.body(function) for name in names for function in _functions(raw.attributes[name])
        ]
        if raw.op in LOOPS and not self._library.body(raw.attributes["body"].func.name).in_place:
            self._note(raw, "moves variables' handles between its iterations")
        expected = {position + offset for body in bodies for position in body.resources}
        if expected != set(handles):
            self._note(raw, "passes on a resource that is no variable of the model")
        written = sorted({p + offset for body in bodies for p in body.written} & {*handles})
        passed = [inputs[position] for position in handles]
        if written and len(set(passed)) < len(passed):
            self._note(raw, "is given one variable twice and writes to it")
        read = [position for position in handles if position not in written]
        return written, read, any(body.effects for body in bodies)

    def _order(self, raw: Raw, read: Sequence[Ref], written: Sequence[Ref]) -> None:
        """Check that the edges force this op after the accesses before it, and note its own."""
        for ref in (*read, *written):
            before = [self._writers[ref]] if ref in self._writers else []
            if ref in written:
                before += self._readers.get(ref, [])
            self._require_after(raw, before)
        for ref in read:
            self._readers.setdefault(ref, []).append(raw.name)
        for ref in written:
            self._writers[ref] = raw.name
            self._readers[ref] = []

    def _require_after(self, raw: Raw, before: Iterable[str]) -> None:
        direct = {*raw.controls, *(name for name, _ in raw.inputs)}
        missing = {name for name in before if name not in direct}
        if missing and not missing <= ancestors(self._raws, [raw.name]):
            self._note(raw, f"and {sorted(missing)[0]} use one variable in no fixed order")


def _read_function(function: Any, library: Library) -> Body:
    """Read a ``FunctionDef``; arguments and results are compared by position."""
    builder = Builder(library)
    resources = frozenset(_bind_arguments(function, builder))
    results = [split_name(function.ret[argument.name]) for argument in function.signature.output_arg]
    builder.read(function.node_def, [*(name for name, _ in results), *function.control_ret.values()])
    returned = [builder.value(*result) for result in results]
    settings = attribute_texts(function.attr, library.text, DROPPED_OF_FUNCTIONS)
    return Body(
        nodes=tuple(builder.nodes),
        digest=_content(builder, len(function.signature.input_arg), returned, settings).hex(),
        resources=resources,
        written=frozenset(i for i in resources if builder.versions[(i, "0")] != (i, "0")),
        in_place=all(returned[i] == (i, "0") for i in resources if i < len(returned)),
        effects=bool(builder.effects),
    )


def _bind_arguments(function: Any, builder: Builder) -> Iterable[int]:
    """Make leaves of a function's arguments; yields those that are handles."""
    for position, argument in enumerate(function.signature.input_arg):
        dtype = tf.dtypes.as_dtype(argument.type)
        node = Node(f"Arg {position}", (("dtype", dtype.name),), (), argument.name)
        leaf = builder.leaf(node, handle=dtype == tf.resource)
        builder.bind(argument.name, leaf)
        if dtype == tf.resource:
            yield leaf


def _content(builder: Builder, arguments: int, returned: Sequence[Ref], settings: object) -> Colour:
    """Digest of all that a function does: what it returns, how it leaves its variables, its other effects."""
    left = sorted((handle, version) for handle, version in builder.versions.items() if handle != version)
    results = [Node(f"return {i}", (), (ref,)) for i, ref in enumerate(returned)]
    results += [Node(f"state {handle}", (), (version,)) for (handle, _), version in left]
    results += [Node("effect", (), ((index, ""),)) for index in builder.effects]
    nodes = [*builder.nodes, *results]
    own = own_colours(nodes)
    colours, _ = forward_colours(nodes, own, own[:arguments])
    return digest(repr(settings).encode(), *own[:arguments], *sorted(colours[len(builder.nodes) :]))


def _functions(attribute: Any) -> list[str]:
    if attribute.WhichOneof("value") == "func":
        return [attribute.func.name]
    return [function.name for function in attribute.list.func]


@dataclass(frozen=True, slots=True)
class Raw:
    """A ``NodeDef`` with its inputs taken apart."""

    name: str
    op: str
    device: str
    attributes: Mapping[str, Any]
    inputs: tuple[tuple[str, str], ...]
    controls: tuple[str, ...]

    def obstacle(self, why: str) -> Unprovable:
        """Return the error that says why this op cannot be proved."""
        return Unprovable(f"op {self.op} {why}", self.name)


def take_apart(node: Any) -> Raw:
    """Read a ``NodeDef``; names that several traces share are in memory once."""
    inputs = [split_name(text) for text in node.input if not text.startswith("^")]
    controls = [text[1:] for text in node.input if text.startswith("^")]
    name, op = sys.intern(node.name), sys.intern(node.op)
    return Raw(name, op, node.device, node.attr, tuple(inputs), tuple(controls))


def split_name(text: str) -> tuple[str, str]:
    """Split ``"node:output"``; in a graph the first output is left out."""
    name, _, output = text.partition(":")
    return name, output or "0"


def ancestors(raws: Mapping[str, Raw], names: Iterable[str]) -> set[str]:
    """Return the named nodes and all that they wait for."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found or name not in raws:
            continue
        found.add(name)
        raw = raws[name]
        waiting.extend(raw.controls)
        waiting.extend(source for source, _ in raw.inputs)
    return found


def in_order(raws: Sequence[Raw]) -> list[Raw]:
    """Return the nodes with each after all that it waits for, else in the order given."""
    position = {raw.name: i for i, raw in enumerate(raws)}
    followers: dict[int, list[int]] = {}
    waits = [0] * len(raws)
    for i, raw in enumerate(raws):
        for name in {*raw.controls, *(source for source, _ in raw.inputs)} & position.keys():
            followers.setdefault(position[name], []).append(i)
            waits[i] += 1
    ready = [i for i, count in enumerate(waits) if count == 0]
    heapq.heapify(ready)
    ordered = []
    while ready:
        i = heapq.heappop(ready)
        ordered.append(raws[i])
        for follower in followers.get(i, ()):
            waits[follower] -= 1
            if waits[follower] == 0:
                heapq.heappush(ready, follower)
    if len(ordered) < len(raws):
        raise Unprovable("the graph has a cycle")
    return ordered
