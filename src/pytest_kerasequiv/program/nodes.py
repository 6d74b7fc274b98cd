"""The traced program as plain data: nodes, variables, what cannot be proved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Ref = tuple[int, str]
"""One value: the index of the node that makes it, and which of the node's outputs it is."""


RESULT = "result: "
"""Begins the op of a node that is a result of the program."""


class Unprovable(Exception):  # noqa: N818
    """The program does something whose sameness cannot be shown; the message is the reason.

    Args:
        message: the reason.
        op: name of the op that is to blame, from which the layer follows.
    """

    def __init__(self, message: str, op: str = "") -> None:
        super().__init__(message)
        self.op = op


@dataclass(frozen=True, slots=True)
class Node:
    """One operation, without its name's influence.

    Attributes:
        op: op type (``"MatMul"``), or ``"Variable"``, ``"Input <position>"``, ``"Target <position>"``, ``"Arg
        <i>"``
            for leaves, or ``"result: …"`` for what the program returns or leaves behind.
        attributes: canonical (name, text) pairs, sorted; functions appear by the digest of their content.
        inputs: the values it consumes. Where TensorFlow passes a variable's handle, this is the *version* of
        the
            variable's value the op sees: the variable itself, or output ``"state:<i>"`` of the op that last
            wrote it.
        name: the op's name in the trace, for messages only.
        part: the entry of the surface, for messages only.
    """

    op: str
    attributes: tuple[tuple[str, str], ...]
    inputs: tuple[Ref, ...]
    name: str = ""
    part: str = ""


@dataclass(frozen=True, slots=True)
class ProgramVariable:
    """What the program knows of one variable of the model; its value is not part of the program.

    Attributes:
        shape: shape of the value.
        dtype: dtype of the value.
        trainable: whether training takes its gradient.
        seed: whether it is the state of a seed generator.
        path: Keras path, for messages only.
        value: exact text of the current value of a state that a layer holds but Keras does not list (stateful
            recurrent layers); nothing else compares it. ``None`` for the variables that Keras lists.
        marks: attributes by which an optimizer or a step may tell it from others: those that code of the
            user's has set on it, and whether its gradient overwrites it.
    """

    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    seed: bool
    path: str
    value: str | None = None
    marks: str = ""

    @property
    def kind(self) -> tuple[tuple[int, ...], str, bool, bool, str | None, str]:
        """What two corresponding variables have in common."""
        return (self.shape, self.dtype, self.trainable, self.seed, self.value, self.marks)

    def __str__(self) -> str:
        what = "seed state" if self.seed else "trainable variable" if self.trainable else "variable"
        marks = f" with {self.marks}" if self.marks else ""
        return f"{what} of shape {self.shape} and dtype {self.dtype}{marks}"


@dataclass(frozen=True)
class Body:
    """A nested function (the body of a loop, a branch, a called function), compared by content.

    Attributes:
        nodes: its operations; arguments come first.
        digest: digest of its content.
        resources: which arguments are variables' handles.
        written: which of these it assigns to.
        in_place: whether it returns each handle, where it does, at the position of the argument.
        effects: whether it has an effect besides (an assertion).
    """

    nodes: tuple[Node, ...]
    digest: str
    resources: frozenset[int]
    written: frozenset[int]
    in_place: bool
    effects: bool


@dataclass(frozen=True)
class OwnCode:
    """Code of the user's of which no traced operation says what it does.

    Attributes:
        name: what a reader calls it.
        layer: Keras path of the layer it belongs to, where it is known.
        code: what it computes with, see `pytest_kerasequiv.layers.own_code.described`.
    """

    name: str
    layer: str | None
    code: Mapping[str, Any]


@dataclass(frozen=True)
class Program:
    """What a model computes, traced once: see the package's docstring for what is in it.

    Attributes:
        nodes: all operations that matter, producers before consumers; the first ones are the variables, in
        the order
            of `pytest_kerasequiv.weights.variables.variables_of`.
        variables: the variables, in the same order, and after them the states that Keras does not list.
        results: indices of the nodes that are the program's results (outputs, loss, gradients, new states).
        bodies: nested functions by digest, for messages only.
        layers: Keras paths of the model's layers, for messages only.
        settings: what steers execution from outside the ops: compiled or not, ``jit_compile``, TensorFlow's
        version. reason: why no proof can rest on this program, ``None`` where one can.
        obstacle: Keras path of the layer to blame for that, where it is known.
        fingerprint: sha256 over the content with the variables numbered canonically, the same in every
        process with
            the same library versions; two programs with equal fingerprints are the same program. ``None``
            where ``reason`` is given.
        numbering: the variables' indices in the canonical order of the fingerprint.
        unique: whether the structure alone fixed that order (else ties were broken by position).
        entries: the entries of the model's surface that were traced, in words.
        random: Keras paths of the layers that draw random numbers from outside Keras's seed generators.
        unseen: code of the user's that no entry shows: called back into, or of an entry that was not traced.
        whole: whether every entry was traced, so that the nodes show all but what ops hide.
    """

    nodes: tuple[Node, ...]
    variables: tuple[ProgramVariable, ...]
    results: tuple[int, ...]
    bodies: Mapping[str, Body] = field(default_factory=dict, repr=False)
    layers: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
    obstacle: str | None = None
    fingerprint: str | None = None
    numbering: tuple[int, ...] = ()
    unique: bool = True
    entries: tuple[str, ...] = ()
    random: tuple[str, ...] = ()
    unseen: tuple[OwnCode, ...] = ()
    whole: bool = True


@dataclass(frozen=True)
class ProgramDifference:
    """The first operation, in the order of the trace, that has no counterpart on the other side.

    Attributes:
        part: the entry of the surface.
        reference_op: what the reference does, ``None`` where only the candidate does something more.
        candidate_op: what the candidate does, likewise.
        reference_layer: Keras path of the layer it came from.
        candidate_layer: the same for the candidate.
        message: one sentence for a reader.
    """

    part: str
    reference_op: str | None
    candidate_op: str | None
    reference_layer: str | None
    candidate_layer: str | None
    message: str


@dataclass(frozen=True)
class ProgramMatch:
    """Whether two programs are the same.

    Attributes:
        proved: they are, for all weights and inputs.
        variables: pairs (reference index, candidate index) of all variables, when proved; else empty.
        difference: where they part, if that could be found.
        reason: why nothing is proved; empty when proved.
    """

    proved: bool
    variables: tuple[tuple[int, int], ...] = ()
    difference: ProgramDifference | None = None
    reason: str = ""
