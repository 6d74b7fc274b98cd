"""A convolution of kernel size 1 is ``Dense`` on the channels; its kernel has axes of length 1 in front.

Not where a constraint or regulariser looks at the axes of the kernel. That a convolution takes the mask away
and ``Dense`` hands it on is seen at the layers that read the mask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of, without

NAME = "convolution of kernel size 1"
KINDS = ("Conv1D", "Conv2D", "Conv3D")
SPATIAL = ("kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups")
AXIS_FREE_REGULARISERS = frozenset({"L1", "L2", "L1L2"})
AXIS_FREE_INITIALISERS = frozenset(
    {"VarianceScaling", "RandomNormal", "RandomUniform", "TruncatedNormal", "Zeros", "Ones", "Orthogonal"}
)


def apply(work: Work, index: int) -> None:
    """Write a convolution of kernel size 1 as ``Dense``."""
    node = work.nodes[index]
    if not is_call_of(node, *KINDS) or not _is_pointwise(node.config) or not _ignores_axes(node.config):
        return
    kept = without(node.config, *SPATIAL, "filters")
    config = {**kept, "units": node.config["filters"]}
    work.change(index, NAME, kind="Dense", config=config, aliases={**node.aliases, "units": "filters"})


def _is_pointwise(config: Mapping[str, Any]) -> bool:
    return (
        set(config.get("kernel_size", ())) == {1}
        and set(config.get("strides", ())) == {1}
        and config.get("groups") == 1
        and config.get("data_format") == "channels_last"
        and "lora_rank" not in config
    )


def _ignores_axes(config: Mapping[str, Any]) -> bool:
    initialiser = config.get("kernel_initializer") or {}
    regulariser = config.get("kernel_regularizer") or {"class": "L1L2"}
    return (
        "kernel_constraint" not in config
        and regulariser.get("class") in AXIS_FREE_REGULARISERS
        and initialiser.get("class") in AXIS_FREE_INITIALISERS
        and not {"input_axes", "output_axes"} & initialiser.keys()
    )
