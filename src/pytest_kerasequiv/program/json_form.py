"""A program as JSON-able data and back, for recordings and other processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pytest_kerasequiv.program.nodes import Body, Node, OwnCode, Program, ProgramVariable

FORMAT = 4
"""Version of the form; a change of what is traced or of how it is written needs another."""


def to_data(program: Program) -> dict[str, Any]:
    """Return the program as lists, strings and numbers; `from_data` reads it back, equal in all fields."""
    return {
        "format": FORMAT,
        "nodes": _nodes_to_data(program.nodes),
        "variables": [
            [list(v.shape), v.dtype, v.trainable, v.seed, v.path, v.value, v.marks] for v in program.variables
        ],
        "results": list(program.results),
        "bodies": {name: _body_to_data(body) for name, body in program.bodies.items()},
        "layers": list(program.layers),
        "settings": [list(pair) for pair in program.settings],
        "reason": program.reason,
        "obstacle": program.obstacle,
        "fingerprint": program.fingerprint,
        "numbering": list(program.numbering),
        "unique": program.unique,
        "entries": list(program.entries),
        "random": list(program.random),
        "unseen": [[one.name, one.layer, dict(one.code)] for one in program.unseen],
        "whole": program.whole,
    }


def from_data(data: Mapping[str, Any]) -> Program:
    """Read what `to_data` wrote.

    Raises:
        ValueError: the data has another format number.
    """
    if data.get("format") != FORMAT:
        raise ValueError(
            f"format {data.get('format')!r} of a program cannot be read; this version reads {FORMAT}"
        )
    return Program(
        nodes=_nodes_from_data(data["nodes"]),
        variables=tuple(ProgramVariable(tuple(shape), *rest) for shape, *rest in data["variables"]),
        results=tuple(data["results"]),
        bodies={name: _body_from_data(name, body) for name, body in data["bodies"].items()},
        layers=tuple(data["layers"]),
        settings=tuple((name, value) for name, value in data["settings"]),
        reason=data["reason"],
        obstacle=data["obstacle"],
        fingerprint=data["fingerprint"],
        numbering=tuple(data["numbering"]),
        unique=data["unique"],
        entries=tuple(data["entries"]),
        random=tuple(data["random"]),
        unseen=tuple(OwnCode(*one) for one in data["unseen"]),
        whole=data["whole"],
    )


def _nodes_to_data(nodes: Iterable[Node]) -> list[list[Any]]:
    return [
        [
            node.op,
            [list(pair) for pair in node.attributes],
            [list(ref) for ref in node.inputs],
            node.name,
            node.part,
        ]
        for node in nodes
    ]


def _nodes_from_data(data: Sequence[Sequence[Any]]) -> tuple[Node, ...]:
    return tuple(
        Node(op, tuple((k, v) for k, v in attributes), tuple((i, o) for i, o in inputs), name, part)
        for op, attributes, inputs, name, part in data
    )


def _body_to_data(body: Body) -> dict[str, Any]:
    return {
        "nodes": _nodes_to_data(body.nodes),
        "resources": sorted(body.resources),
        "written": sorted(body.written),
        "in_place": body.in_place,
        "effects": body.effects,
    }


def _body_from_data(digest: str, data: Mapping[str, Any]) -> Body:
    return Body(
        nodes=_nodes_from_data(data["nodes"]),
        digest=digest,
        resources=frozenset(data["resources"]),
        written=frozenset(data["written"]),
        in_place=data["in_place"],
        effects=data["effects"],
    )
