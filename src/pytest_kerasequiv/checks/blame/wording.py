"""Saying what is wrong with a layer at fault: the settings that differ, its weights, or its place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import keras
import numpy as np

from pytest_kerasequiv.checks.blame.layer_pairs import CallPair, Calls
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import said
from pytest_kerasequiv.layers.attribute_names import attribute_paths, called
from pytest_kerasequiv.layers.graph_reading import describe
from pytest_kerasequiv.layers.plain_values import shown
from pytest_kerasequiv.verdict import CheckResult, Finding

P = TypeVar("P")
Explain = Callable[[Pair, CheckResult, P], CheckResult]

ONLY_TRAINING = ("regularizer", "constraint", "momentum", "trainable")
"""Settings (parts of their names) that change what is learnt, not what a layer computes."""

WITHOUT_EFFECT = ("initializer", "dtype", "unroll", *ONLY_TRAINING)
"""Settings whose difference does not change what a layer computes."""


def at_fault(suspects: Any, pair: CallPair, does: str = "computes other numbers") -> list[Finding]:
    """Return what is wrong with a pair of layers that make different things of the same inputs."""
    ours, theirs = suspects.reference.calls[pair.reference], suspects.candidate.calls[pair.candidate]
    layers = suspects.reference.layers[pair.reference], suspects.candidate.layers[pair.candidate]
    fields = changed_fields(*layers)
    if not fields:
        fields = changed_weights(*layers) or [("value", None, None)]
    paths = ours.path, theirs.path
    what = f"layer {both_paths(*paths)} {does} from the same inputs"
    return [_finding(suspects.check, what, paths, change) for change in fields]


def changed_fields(reference: keras.Layer, candidate: keras.Layer) -> list[tuple[str, Any, Any]]:
    """Return (field, reference's value, candidate's value) for the settings that differ and can matter."""
    differing = _differing(reference, candidate)
    return [item for item in differing if not any(word in item[0] for word in WITHOUT_EFFECT)]


def training_settings(
    check: str, reference: Calls, candidate: Calls, pairs: Sequence[CallPair]
) -> tuple[Finding, ...]:
    """Return settings that act on training alone and differ between corresponding layers."""
    found: dict[str, Finding] = {}
    for pair in pairs:
        paths = reference.calls[pair.reference].path, candidate.calls[pair.candidate].path
        for field, ours, theirs in _differing(
            reference.layers[pair.reference], candidate.layers[pair.candidate]
        ):
            if any(word in field for word in ONLY_TRAINING):
                message = (
                    f"layer {paths[0]!r} trains in another way: {field} is {shown(ours)} in the reference, "
                    f"{shown(theirs)} in the candidate"
                )
                found.setdefault(
                    message,
                    Finding.difference(
                        check, field, message, layers=(paths[0], paths[1]), values=(ours, theirs)
                    ),
                )
    return tuple(found.values())


def _differing(reference: keras.Layer, candidate: keras.Layer) -> list[tuple[str, Any, Any]]:
    first, second = describe(reference), describe(candidate)
    if first["kind"] != second["kind"]:
        return [("class", first["kind"], second["kind"])]
    ours, theirs = first["config"], second["config"]
    names = sorted({*ours, *theirs})
    words = called(names, reference)
    return [(words.get(n, n), ours.get(n), theirs.get(n)) for n in names if ours.get(n) != theirs.get(n)]


def changed_weights(reference: keras.Layer, candidate: keras.Layer) -> list[tuple[str, Any, Any]]:
    """Return the weights of one name and shape whose values differ, with the largest difference."""
    found = []
    for ours, theirs in zip(reference.weights, candidate.weights, strict=False):
        if tuple(ours.shape) == tuple(theirs.shape):
            first, second = np.asarray(ours, float), np.asarray(theirs, float)
            if not np.array_equal(first, second, equal_nan=True):
                where = np.unravel_index(int(np.nanargmax(np.abs(first - second))), first.shape)
                found.append((ours.name, float(first[where]), float(second[where])))
    return found


def without_partner(
    suspects: Any, pair: CallPair, missing: Sequence[int], extra: Sequence[int]
) -> list[Finding]:
    """Return what stands between a pair that agrees on its own: layers one side lacks, or other inputs."""
    ours, theirs = suspects.reference.calls[pair.reference], suspects.candidate.calls[pair.candidate]
    parts = [i for i in missing if suspects.reference.calls[i].kind == theirs.kind != ours.kind]
    parts_there = [i for i in extra if suspects.candidate.calls[i].kind == ours.kind != theirs.kind]
    if parts or parts_there:  # a layer with its activation on one side, the two apart on the other
        what = f"layer {both_paths(ours.path, theirs.path)} and what stands before it compute other numbers"
        return [_finding(suspects.check, what, (ours.path, theirs.path), ("value", None, None))]
    found = []
    for calls, indices, side in (
        (suspects.reference, missing, "reference"),
        (suspects.candidate, extra, "candidate"),
    ):
        for index in indices:
            found.append(_alone(suspects.check, calls, index, side))
    if not found:
        message = (
            f"layer {both_paths(ours.path, theirs.path)} computes the same from the same inputs, "
            f"but gets other inputs: {suspects.parted or 'it is wired differently'}"
        )
        found.append(Finding.difference(suspects.check, "inputs", message, layers=(ours.path, theirs.path)))
    return found


def _alone(check: str, calls: Calls, index: int, side: str) -> Finding:
    call = calls.calls[index]
    message = f"layer {call.path!r} ({call.kind}) is only in the {side}, and changes the result"
    if side == "reference":
        return Finding.difference(check, "layer", message, layers=(call.path, None), values=(call.kind, None))
    return Finding.difference(check, "layer", message, layers=(None, call.path), values=(None, call.kind))


def _finding(check: str, what: str, paths: tuple[str, str], change: tuple[str, Any, Any]) -> Finding:
    field, ours, theirs = change
    if field != "value":
        what += f": {field} is {shown(ours)} in the reference, {shown(theirs)} in the candidate"
    return Finding.difference(check, field, what, layers=paths, values=(ours, theirs))


def both_paths(reference: str | None, candidate: str | None) -> str:
    """Return how messages name a layer: by its path in the reference, and the candidate's if that differs."""
    return f"{reference!r}" if reference == candidate else f"{reference!r} (candidate {candidate!r})"


def explaining(settings: Sequence[Finding], found: Sequence[Finding]) -> list[Finding]:
    """Return the differing training settings whose effect was measured.

    Args:
        settings: what `training_settings` returned.
        found: what was measured.
    """
    fields = {finding.field for finding in found}
    touched = [(finding.reference_layer, finding.candidate_layer) for finding in found]
    return [
        setting
        for setting in settings
        if ("regularizer" in setting.field and fields & {"losses", "loss"})
        or (setting.field == "trainable" and "trainable" in fields)
        or any(_touches(setting, layers) for layers in touched)
    ]


def _touches(setting: Finding, layers: tuple[str | None, str | None]) -> bool:
    both = zip(layers, (setting.reference_layer, setting.candidate_layer), strict=True)
    return any(layer is not None and own is not None and layer.startswith(own) for layer, own in both)


def only_adds(explain: Explain[P]) -> Explain[P]:
    """Make of an explanation that fails a note: what was decided stands without it."""

    @functools.wraps(explain)
    def guarded(pair: Pair, result: CheckResult, plan: P) -> CheckResult:
        try:
            explained = explain(pair, result, plan)
            added = [f for f in explained.findings if not any(f is known for known in result.findings)]
            return _in_the_users_words(pair, explained) if added else explained
        except Exception as error:
            message = f"the layers at fault could not be looked for: {type(error).__name__}: {said(error)}"
            note = Finding.note(result.name, "error", message)
            return replace(result, findings=(*result.findings, note))

    return guarded


def _in_the_users_words(pair: Pair, result: CheckResult) -> CheckResult:
    """Name layers inside code of the user's by their attributes too: Keras's counted names tell little."""
    models = [pair.candidate] if pair.twins.recording is not None else [pair.candidate, pair.reference]
    names = {path: attributes for model in models for path, attributes in attribute_paths(model).items()}
    return replace(result, findings=tuple(_named(finding, names) for finding in result.findings))


def _named(finding: Finding, names: Mapping[str, str]) -> Finding:
    path = finding.reference_layer or finding.candidate_layer or ""
    if path not in names or f"{path!r}" not in finding.message or names[path] in finding.message:
        return finding
    message = finding.message.replace(f"{path!r}", f"{path!r} ({names[path]})", 1)
    return replace(finding, message=message)
