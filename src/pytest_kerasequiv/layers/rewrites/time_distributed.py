"""``Dense`` works on the last axis of its input, so doing it step by step (``TimeDistributed``) is the same.

``Dense`` reads no mask, so the mask that ``TimeDistributed`` is given has no effect on its values; that both
hand it on is seen at the layers that read it. Not with an activity regulariser, which is summed per step.
"""

from __future__ import annotations

from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of

NAME = "TimeDistributed(Dense)"


def apply(work: Work, index: int) -> None:
    """Write ``TimeDistributed(Dense)`` as ``Dense``."""
    node = work.nodes[index]
    if not is_call_of(node, "TimeDistributed") or node.config.get("layer") != "Dense":
        return
    inner = {
        name.removeprefix("layer."): value for name, value in node.config.items() if name.startswith("layer.")
    }
    if "activity_regularizer" in {*inner, *node.config}:
        return
    if inner.get("dtype") != node.config.get("dtype"):
        return
    work.change(
        index,
        NAME,
        kind="Dense",
        config=inner,
        constants={},
        inputs=tuple(edge for edge in node.inputs if edge.slot == "inputs"),
        variables=tuple((role.removeprefix("Dense[0]/"), variable) for role, variable in node.variables),
        aliases={name: f"layer.{name}" for name in inner},
    )
