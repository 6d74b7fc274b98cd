"""From the name of an op to the Keras path of the layer that made it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pytest_kerasequiv.program.nodes import Node

SEARCHED_PRODUCERS = 64


def layer_tree(paths: Sequence[str]) -> dict[str, frozenset[str]]:
    """Return the names of the layers below each path; the model's own stands below ``""``."""
    below: dict[str, set[str]] = {}
    for path in paths:
        parent, _, name = path.rpartition("/")
        below.setdefault(parent, set()).add(name)
    return {parent: frozenset(names) for parent, names in below.items()}


def layer_path(name: str, tree: Mapping[str, frozenset[str]]) -> str | None:
    """Map an op's name to the Keras path of the layer in whose scope it was made.

    TensorFlow makes scope names unique by a suffix. Keras opens a layer's scope once before each call, so
    that the ops of layer ``dense`` stand below ``dense_1``, ``dense_3`` …: one suffix is taken off before the
    bare name is tried.
    """
    path = ""
    for component in name.split("/")[:-1]:
        below = tree.get(path, frozenset())
        bare = re.sub(r"_\d+$", "", component)
        found = bare if bare != component and bare in below else component if component in below else None
        if found is not None:
            path = f"{path}/{found}" if path else found
    return path or None


def enclosing_layer(nodes: Sequence[Node], index: int, tree: Mapping[str, frozenset[str]]) -> str | None:
    """Return the Keras path of the layer that made an op, or that made what it is computed from."""
    waiting, seen = [index], {index}
    for current in waiting:
        path = layer_path(nodes[current].name, tree)
        if path is not None:
            return path
        if len(waiting) < SEARCHED_PRODUCERS:
            fresh = [source for source, _ in nodes[current].inputs if source not in seen]
            seen.update(fresh)
            waiting.extend(fresh)
    return None
