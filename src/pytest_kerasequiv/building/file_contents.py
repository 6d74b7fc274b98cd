"""What a model file asks Keras to run: looked at before it is loaded, as Keras's own safe mode has had holes.

Up to 3.11.2 it held for no HDF5 file, and up to 3.11.0 a ``.keras`` file could name functions of Keras, such
as the one that switches it off.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from pytest_kerasequiv.errors import InputError

MOST_BYTES = 100_000_000
"""Size of a file's description of its model beyond which it is none."""
_OF_LAMBDAS = ("function_type", "output_shape_type", "mask_type")
_PURE = frozenset(
    ["activations", "constraints", "initializers", "losses", "metrics", "ops", "optimizers", "regularizers"]
)
"""Rooms of Keras whose functions only compute."""


def refuse_code(path: Path, argument: str) -> None:
    """Refuse a model file that would have Keras run code from it, or a function that does more than compute.

    Raises:
        InputError: it would.
    """
    for text in _descriptions(path):
        try:
            described = json.loads(text)
        except (ValueError, RecursionError):  # what is wrong with it is told where it is loaded
            continue
        for node in _tables(described):
            why = _runs(node)
            if why:
                raise InputError(
                    f"{argument}={str(path)!r} cannot be loaded: it {why}. Keras's safe mode stays on here; "
                    "if you trust the file, pass a builder that loads it with safe_mode=False, or replace "
                    "the Lambda by a layer class"
                )


def _descriptions(path: Path) -> Iterator[bytes | str]:
    """Yield the JSON texts that describe the model, its compile settings among them."""
    try:
        if path.suffix == ".keras":
            with zipfile.ZipFile(path) as archive, archive.open("config.json") as file:
                yield file.read(MOST_BYTES)
        else:
            with h5py.File(path, "r") as file:
                for name in ("model_config", "training_config"):
                    yield file.attrs.get(name, "")
    except (OSError, KeyError, zipfile.BadZipFile):  # no model file, which loading it tells
        return


def _tables(described: Any) -> Iterator[dict[str, Any]]:
    left = [described]
    while left:
        node = left.pop()
        if isinstance(node, dict):
            yield node
            left += node.values()
        elif isinstance(node, list):
            left += node


def _runs(node: dict[str, Any]) -> str:
    """Say what an entry would have run, empty where it is harmless."""
    name, module = node.get("class_name"), node.get("module")
    if name == "__lambda__" or any(node.get(key) == "lambda" for key in _OF_LAMBDAS):
        return "holds a Lambda layer with a Python lambda, which runs code from the file"
    called = node.get("config") if name == "function" else name
    if not isinstance(module, str) or not isinstance(called, str) or module.partition(".")[0] != "keras":
        return ""
    if called[:1].isupper() or _PURE & set(module.split(".")[1:3]):
        return ""
    return f"names {module}.{called}, which does more than compute"
