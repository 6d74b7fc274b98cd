"""``trainable`` has no effect on a layer that has no weights."""

from __future__ import annotations

from pytest_kerasequiv.layers.rewrites.work import Work, has_code, without

NAME = "trainable without weights"


def apply(work: Work, index: int) -> None:
    """Leave ``trainable`` out of the config of Keras's layers without weights."""
    node = work.nodes[index]
    weights = [role for role, _ in node.variables if not role.endswith("seed_generator_state")]
    if weights or has_code(node) or "trainable" not in node.config:
        return
    if node.config["trainable"]:
        work.set(index, config=without(node.config, "trainable"))
    else:
        work.change(index, NAME, config=without(node.config, "trainable"))
