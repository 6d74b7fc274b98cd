"""``Activation("relu")``, ``ReLU()``, ``keras.activations.relu(x)``, ``keras.ops.relu(x)`` are one function.

``Softmax`` is only benign without a mask, which it reads. That operations do not hand masks on is seen at the
layers that read the mask.
"""

from __future__ import annotations

from typing import Any

from pytest_kerasequiv.layers.layer_graph import Edge, LayerNode
from pytest_kerasequiv.layers.rewrites.spelled_out import from_start
from pytest_kerasequiv.layers.rewrites.work import Work, has_code, mask_edges

NAME = "activation form"

DEFAULTS: dict[str, dict[str, Any]] = {
    "relu": {"negative_slope": 0, "max_value": None, "threshold": 0},
    "leaky_relu": {"negative_slope": 0.2},
    "elu": {"alpha": 1},
    "celu": {"alpha": 1},
    "gelu": {"approximate": False},
    "softmax": {"axis": -1},
    "log_softmax": {"axis": -1},
    "glu": {"axis": -1},
    "hard_shrink": {"threshold": 0.5},
    "soft_shrink": {"threshold": 0.5},
    "squareplus": {"b": 4},
    "sparsemax": {"axis": -1},
}
"""Parameters of the functions in ``keras.activations`` and the defaults that ``Activation(name)`` uses."""

LAYERS = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "Softmax": "softmax"}

OPERATIONS = {
    "ReLU": "relu",
    "Relu": "relu",
    "Relu6": "relu6",
    "LeakyRelu": "leaky_relu",
    "Elu": "elu",
    "Celu": "celu",
    "Selu": "selu",
    "Gelu": "gelu",
    "Glu": "glu",
    "Silu": "silu",
    "Mish": "mish",
    "Sigmoid": "sigmoid",
    "HardSigmoid": "hard_sigmoid",
    "HardSilu": "hard_silu",
    "HardTanh": "hard_tanh",
    "HardShrink": "hard_shrink",
    "SoftShrink": "soft_shrink",
    "TanhShrink": "tanh_shrink",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "LogSigmoid": "log_sigmoid",
    "Exp": "exponential",
    "Squareplus": "squareplus",
    "SparsePlus": "sparse_plus",
    "SparseSigmoid": "sparse_sigmoid",
    "Sparsemax": "sparsemax",
}
SYNONYMS = {"swish": "silu", "hard_swish": "hard_silu"}


def apply(work: Work, index: int) -> None:
    """Write an activation as ``Activation`` with the function's name and its parameters."""
    node = work.nodes[index]
    function, given = _function(node)
    if function is None or mask_edges(node) or len(node.inputs) != 1 or node.constants:
        return
    shape, _ = work.spec(node.inputs[0])
    config = {"activation": function, **_parameters(function, given, len(shape)), "dtype": node.outputs[0][1]}
    config = _simplest({k: v for k, v in config.items() if v is not None})
    config |= {k: v for k, v in node.config.items() if k == "activity_regularizer"}
    same = node.kind == "Activation" and node.config.get("activation") == config["activation"]
    edge = Edge(node.inputs[0].source, node.inputs[0].output, "inputs")
    if same:
        work.set(index, config=config, inputs=(edge,))
    else:
        work.change(index, NAME, kind="Activation", config=config, inputs=(edge,))


def _function(node: LayerNode) -> tuple[str | None, dict[str, Any]]:
    if has_code(node):
        return None, {}
    if node.kind == "Activation" and isinstance(node.config.get("activation"), str):
        name = node.config["activation"]
        return SYNONYMS.get(name, name), {}
    if node.kind in LAYERS:
        return LAYERS[node.kind], dict(node.config)
    if node.kind.startswith("ops."):
        return OPERATIONS.get(node.kind.removeprefix("ops.")), dict(node.config)
    return None, {}


def _parameters(function: str, given: dict[str, Any], rank: int) -> dict[str, Any]:
    parameters = {name: given.get(name, default) for name, default in DEFAULTS.get(function, {}).items()}
    if function == "relu" and "max_value" not in given:
        parameters["max_value"] = None
    return {name: from_start(value, rank) if name == "axis" else value for name, value in parameters.items()}


def _simplest(config: dict[str, Any]) -> dict[str, Any]:
    """Return relu with its parameters as the function that it is: relu6, or leaky_relu."""
    slope, top, threshold = (config.get(name) for name in ("negative_slope", "max_value", "threshold"))
    if config["activation"] != "relu":
        return config
    if threshold:
        return {name: value for name, value in config.items() if value or name != "negative_slope"}
    rest = {name: value for name, value in config.items() if name not in DEFAULTS["relu"]}
    if top == 6 and not slope:
        return {**rest, "activation": "relu6"}
    if top is None and slope:
        return {**rest, "activation": "leaky_relu", "negative_slope": slope}
    return rest if top is None else {**rest, "max_value": top, **({"negative_slope": slope} if slope else {})}
