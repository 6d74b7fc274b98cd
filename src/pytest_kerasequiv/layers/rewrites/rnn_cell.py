"""``RNN(LSTMCell(...))`` runs the cell that ``LSTM(...)`` makes for itself; likewise GRU and SimpleRNN."""

from __future__ import annotations

from pytest_kerasequiv.layers.rewrites.work import Work, is_call_of, without

NAME = "RNN cell"
LAYERS = {"LSTMCell": "LSTM", "GRUCell": "GRU", "SimpleRNNCell": "SimpleRNN"}


def apply(work: Work, index: int) -> None:
    """Write an RNN around a cell as the layer of that cell, if both agree on dtype and trainable."""
    node = work.nodes[index]
    if not is_call_of(node, "RNN") or node.config.get("cell") not in LAYERS:
        return
    if any(node.config.get(f"cell.{name}") != node.config.get(name) for name in ("dtype", "trainable")):
        return
    own = {name: value for name, value in node.config.items() if name != "cell" and "cell." not in name}
    inner = {
        name.removeprefix("cell."): value for name, value in node.config.items() if name.startswith("cell.")
    }
    inner = without(inner, "dtype", "trainable")
    work.change(
        index,
        NAME,
        kind=LAYERS[node.config["cell"]],
        config={**own, **inner},
        aliases={name: f"cell.{name}" for name in inner},
    )
