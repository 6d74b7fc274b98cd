"""Nodes as TensorFlow stores them, taken apart; which ones wait for which."""

from __future__ import annotations

import heapq
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_kerasequiv.models.program.nodes import Unprovable


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
