"""What a call is handed besides numbers: arguments that are no tensors, and masks, with who drops them."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.checks.blame.layer_pairs import CallPair, Calls
from pytest_kerasequiv.checks.blame.wording import both_paths
from pytest_kerasequiv.running.layer_calls import LayerCall, tensors
from pytest_kerasequiv.running.replaying import Given, given_to
from pytest_kerasequiv.verdict import Finding

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Handed:
    """What one call is handed.

    Attributes:
        values: the tensors, but for masks.
        masks: the masks in force, those that keep everything left out.
        arguments: what is no tensor and not the default, by name; ``training`` always.
        takes: the names of the arguments that the layer takes.
    """

    values: tuple[Array, ...]
    masks: tuple[Array, ...]
    arguments: dict[str, Any]
    takes: frozenset[str]

    @classmethod
    def of(cls, calls: Calls, index: int, given: Sequence[Given] | None = None) -> Handed:
        """Return what a recorded call is handed; ``given``: other tensors in the place of the recorded."""
        call = calls.calls[index]
        named = list(zip(_names(call), given_to(call) if given is None else given, strict=True))
        told = [one.value for name, one in named if name.endswith("mask")]
        values = [one for name, one in named if not name.endswith("mask")]
        masks = told or [one.mask for one in values if one.mask is not None]
        return cls(
            tuple(one.value for one in values),
            tuple(mask for mask in masks if not np.all(mask)),
            _arguments(calls.layers[index], call),
            frozenset(inspect.signature(calls.layers[index].call).parameters),
        )


def _names(call: LayerCall) -> list[str]:
    """Return the name of the keyword that receives each tensor, empty for positional ones."""
    flat = keras.tree.flatten_with_path((call.args, dict(call.kwargs)))
    return [str(path[1]) if path[0] == 1 else "" for path, leaf in flat if tensors(leaf)]


def _arguments(layer: Any, call: LayerCall) -> dict[str, Any]:
    parameters = inspect.signature(layer.call).parameters
    positional = dict(zip(parameters, call.args, strict=False))
    defaults = {name: one.default for name, one in parameters.items()}
    given = {**positional, **call.kwargs}
    plain = {name: value for name, value in given.items() if value is not None and not _holds_tensors(value)}
    found = {name: value for name, value in plain.items() if value != defaults.get(name)}
    if "training" in parameters:
        found["training"] = bool(found.get("training", defaults["training"] is True))
    return found


def _holds_tensors(value: Any) -> bool:
    return bool(tensors(value))


def handed_otherwise(
    check: str, reference: Calls, candidate: Calls, pair: CallPair, handed: tuple[Handed, Handed]
) -> list[Finding]:
    """Return the arguments and the masks in which two corresponding calls differ.

    Args:
        check: name of the check on whose behalf.
        reference: the reference's calls.
        candidate: the candidate's.
        pair: the calls.
        handed: what they are handed.
    """
    ours, theirs = handed
    paths = reference.calls[pair.reference].path, candidate.calls[pair.candidate].path
    found = []
    # What only one of the layers takes makes another layer, not another call.
    for name in sorted({*ours.arguments, *theirs.arguments} & ours.takes & theirs.takes):
        values = ours.arguments.get(name), theirs.arguments.get(name)
        if values[0] != values[1]:
            told = [f"with {name}={v!r}" if v is not None else f"without {name}" for v in values]
            message = (
                f"layer {both_paths(*paths)} is called {told[0]} in the reference, {told[1]} in the candidate"
            )
            found.append(Finding.difference(check, name, message, layers=paths, values=values))
    same = len(ours.masks) == len(theirs.masks) and all(map(np.array_equal, ours.masks, theirs.masks))
    return found if same else [*found, _mask_finding(check, (reference, candidate), pair, handed)]


def _mask_finding(
    check: str, sides: tuple[Calls, Calls], pair: CallPair, handed: tuple[Handed, Handed]
) -> Finding:
    """Tell which mask a layer gets on each side and, where one side has none, which layer drops it."""
    paths = sides[0].calls[pair.reference].path, sides[1].calls[pair.candidate].path
    shown = [_shown(one.masks) for one in handed]
    told = f"{shown[0]} in the reference, {shown[1]} in the candidate"
    message = f"layer {both_paths(*paths)} gets another mask: {told}"
    layers: list[str | None] = [*paths]
    lost = [not one.masks for one in handed]
    if any(lost):
        side = lost.index(True)
        dropping = _dropping(sides[side], (pair.reference, pair.candidate)[side])
        if dropping is not None:
            layers = [None, None]
            layers[side] = dropping.path
            name = ("reference", "candidate")[side]
            message += f"; layer {dropping.path!r} ({dropping.kind}) of the {name} drops it"
    return Finding.difference(
        check, "mask", message, layers=(layers[0], layers[1]), values=(shown[0], shown[1])
    )


def _shown(masks: Sequence[Array]) -> str:
    if not masks:
        return "none"
    return ", ".join(f"{int(np.sum(np.equal(mask, 0)))} of {mask.size} steps masked" for mask in masks)


def _dropping(calls: Calls, index: int) -> LayerCall | None:
    """Return the nearest call before this one that is handed a mask and makes none."""
    queue, seen = [index], {index}
    while queue:
        for source, _ in calls.calls[queue.pop(0)].sources:
            if source < 0 or source in seen:
                continue
            seen.add(source)
            call = calls.calls[source]
            if all(mask is None for mask in call.output_masks):
                if Handed.of(calls, source).masks:
                    return call
                queue.append(source)
    return None
