"""Comparing how the twins are compiled: the optimizer field by field, loss, loss weights and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras

from pytest_kerasequiv.checks.compiled.built import METRICS
from pytest_kerasequiv.checks.compiled.effects import agree_on_usual, same_effect, values_differ
from pytest_kerasequiv.checks.compiled.in_force import (
    CODE,
    EFFECTS,
    NAMES,
    ONLY_SPEED,
    OWN_COMPILE,
    TAKEN,
    TOLD_APART,
    Settings,
)
from pytest_kerasequiv.checks.compiled.optimizers import (
    OPTIMIZERS,
    RATE,
    same_rate,
    surely_trained_alike,
    treated_apart,
    without_effect,
)
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.layers.own_code import OWN, differences_in_words, is_opaque
from pytest_kerasequiv.layers.plain_values import shown
from pytest_kerasequiv.verdict import Finding


def compare_settings(check: str, reference: Settings | None, candidate: Settings | None) -> list[Finding]:
    """Return a finding for every compile setting that differs and has an effect.

    Losses and metrics that compute the same, by their traced programs, are the same whatever they are
    called; where they were rewritten and agree on every batch tried, that is a note.

    Args:
        check: name of the check on whose behalf.
        reference: what `settings_of` returned for the reference.
        candidate: the same for the candidate.
    """
    if reference is None and candidate is None:
        return []
    if reference is None or candidate is None:
        side = "reference" if reference is None else "candidate"
        message = f"the {side} is not compiled, the other twin is; pass compile=... to compile both alike"
        compiled = reference is not None, candidate is not None
        return [Finding.note(check, "compile", message, values=compiled)]
    return [
        *_loss_findings(check, reference, candidate),
        *_optimizer_findings(check, reference, candidate),
        *(_finding(check, name, reference, candidate) for name in _own_differing(reference, candidate)),
        *(finding for name in METRICS for finding in _metric_findings(check, name, reference, candidate)),
        *_speed_findings(check, reference, candidate),
        *_taken_findings(check, reference, candidate),
    ]


def compare_compiled(
    check: str, reference: Settings | None, candidate: Settings | None, variables: VariableMap
) -> list[Finding]:
    """Return what `compare_settings` finds, and the weights that one kind of optimizer treats otherwise.

    Args:
        check: name of the check on whose behalf.
        reference: what `settings_of` returned for the reference.
        candidate: the same for the candidate.
        variables: how their variables correspond.
    """
    found = compare_settings(check, reference, candidate)
    if reference is None or candidate is None or not _same_kinds(reference, candidate):
        return found
    return [*found, *treated_apart(check, *_known(reference, candidate), variables)]


def beyond_program(
    check: str, reference: Settings | None, candidate: Settings | None, variables: VariableMap
) -> list[Finding] | None:
    """Return what `compare_compiled` finds; ``None`` where an optimizer may still tell twins apart.

    Twins of one program have equal gradients. Whether equal optimizers make the same of them follows only
    where they cannot tell a weight from its partner by name, path or shape.

    Args: those of `compare_compiled`.
    """
    both = () if reference is None or candidate is None else _known(reference, candidate)
    if both and not surely_trained_alike(*both, variables):
        return None
    return compare_compiled(check, reference, candidate, variables)


def _known(reference: Settings, candidate: Settings) -> tuple[Any, Any]:
    """Return by what each side's weights are known; earlier versions did not record it."""
    return reference.get(TOLD_APART, {}), candidate.get(TOLD_APART, {})


def _same_kinds(reference: Settings, candidate: Settings) -> bool:
    return all(_kind(reference.get(owner)) == _kind(candidate.get(owner)) for owner in OPTIMIZERS)


def _loss_findings(check: str, reference: Settings, candidate: Settings) -> Iterator[Finding]:
    names = _differing("loss", reference, candidate)
    ours, theirs = ((side.get(EFFECTS) or {}).get("loss") for side in (reference, candidate))
    opaque = is_opaque([side.get(f"loss{CODE}") for side in (reference, candidate)])
    same = same_effect(ours, theirs)
    if same == "program" or not (names or opaque):
        return
    if same == "values":
        yield _rewritten(check, "loss", _pair(reference, candidate, "loss"))
    elif not names:
        yield _unknown(check, "loss", reference.get("loss"), differ=values_differ(ours, theirs))
    renamed = same is None and reference.get("loss") != candidate.get("loss")
    for name in names if same is None else ():
        if (
            not renamed
            or "." not in name
            or (name in reference and name in candidate and name != f"loss{CODE}")
        ):
            yield _where_it_shows(_finding(check, name, reference, candidate), ours, theirs)


def _where_it_shows(finding: Finding, ours: Any, theirs: Any) -> Finding:
    """Add where two losses of probabilities part, where most probabilities do not show it."""
    if not values_differ(ours, theirs) or not agree_on_usual(ours, theirs):
        return finding
    message = f"{finding.message}; they agree on most probabilities, and part where these come to 0 or 1"
    return replace(finding, message=message)


def _metric_findings(check: str, kind: str, reference: Settings, candidate: Settings) -> Iterator[Finding]:
    sides = [_per_output(side.get(kind)) for side in (reference, candidate)]
    if [len(several) for several in sides[0]] != [len(several) for several in sides[1]]:
        yield _finding(check, kind, reference, candidate)
        return
    effects = [(side.get(EFFECTS) or {}).get(kind) or [] for side in (reference, candidate)]
    known = [list(map(len, effects[i])) == list(map(len, sides[i])) for i in (0, 1)]
    different = False
    for place, (ours, theirs) in enumerate(zip(*sides, strict=True)):
        if ours != theirs and sorted(map(repr, ours)) == sorted(map(repr, theirs)):
            different = True
            message = (
                f"the same {kind} in another order, {_listed(ours)} in the reference and "
                f"{_listed(theirs)} in the candidate: evaluate() returns them in that order"
            )
            yield Finding.difference(check, kind, message, values=(ours, theirs))
            continue
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            both = [effects[i][place][index] if known[i] else None for i in (0, 1)]
            found = _metric_finding(check, kind, pair, both)
            different |= found is not None and found.severity == "difference"
            yield from () if found is None else (found,)
    mine, its = (side.get(f"{kind}{NAMES}") for side in (reference, candidate))
    if mine != its and None not in (mine, its) and not different:
        yield Finding.note(check, f"{kind}{NAMES}", _renamed(kind, mine, its), values=(mine, its))


def _metric_finding(check: str, kind: str, pair: tuple[Any, Any], effects: Sequence[Any]) -> Finding | None:
    """Compare one metric of each side."""
    ours, theirs = pair
    same = same_effect(*effects)
    if same == "program" or (ours == theirs and not is_opaque(pair)):
        return None
    if same == "values":
        return _rewritten(
            check, kind, f"{_called(ours)} in the reference and {_called(theirs)} in the candidate"
        )
    if ours == theirs:
        return _unknown(check, kind, _called(ours), differ=values_differ(*effects))
    message = _another(kind, ours, theirs)
    return Finding.difference(check, kind, message, values=(ours, theirs))


def _listed(metrics: Sequence[Any]) -> str:
    return ", ".join(map(_called, metrics))


def _per_output(metrics: Any) -> list[list[Any]]:
    found = metrics if isinstance(metrics, list) else [metrics]
    return found if found and all(isinstance(one, list) for one in found) else [found]


def _rewritten(check: str, name: str, both: str) -> Finding:
    message = (
        f"another {name}, {both}, whose values are the same on every batch tried, of several scales and with "
        "and without sample weights; only the code differs"
    )
    return Finding.note(check, name, message)


def _unknown(check: str, name: str, called: Any, *, differ: bool) -> Finding:
    if differ:
        message = (
            f"the {name} {called!r} reads alike on both sides, but returns other values for the same batch"
        )
        return Finding.difference(check, name, message, values=(called, called))
    message = f"the {name} {called!r} depends on an object that cannot be compared; what it computed was"
    return Finding.note(check, name, message, values=(called, called))


def _optimizer_findings(check: str, reference: Settings, candidate: Settings) -> Iterator[Finding]:
    names = [n for n in _differing("optimizer", reference, candidate) if _comparable(n, reference, candidate)]
    for name in names:
        ours, theirs = reference.get(name), candidate.get(name)
        alone = not any(other.startswith(f"{name}.") for other in names)
        if name in OPTIMIZERS and _kind(ours) == _kind(theirs) and alone:
            equal = "AdamW is Adam with a weight decay, and all their settings are equal"
            message = f"{_another(name, ours, theirs)}; {equal}"
            yield Finding.note(check, name, message, values=(ours, theirs))
        else:
            yield _finding(check, name, reference, candidate)


def _own_differing(reference: Settings, candidate: Settings) -> list[str]:
    names = _differing(OWN_COMPILE, reference, candidate)
    return [name for name in names if _comparable(name, reference, candidate)]


def _comparable(name: str, reference: Settings, candidate: Settings) -> bool:
    """Tell whether a setting of the optimizer means the same on both sides, and is not the same in effect."""
    if name.endswith(f"{RATE}.at"):
        return False
    if name.endswith(RATE) and same_rate(reference.get(f"{name}.at"), candidate.get(f"{name}.at")):
        return False
    for owner in OPTIMIZERS:  # the settings of two kinds of optimizer are not comparable one by one
        other = _kind(reference.get(owner)) != _kind(candidate.get(owner))
        if other and name.startswith(f"{owner}.") and name != f"{owner}.learning_rate":
            return False
    return not ((name in reference) != (name in candidate) and without_effect(name))


def _kind(optimizer: Any) -> Any:
    """Return the class of an optimizer: AdamW only sets another default, its code is Adam's."""
    return "Adam" if optimizer == "AdamW" else optimizer


def _speed_findings(check: str, reference: Settings, candidate: Settings) -> Iterator[Finding]:
    for name in ONLY_SPEED:
        ours, theirs = reference.get(name), candidate.get(name)
        if ours != theirs:
            message = f"{_another(name, ours, theirs)}; it changes how a step is run, not what it computes"
            yield Finding.note(check, name, message, values=(ours, theirs))


def _taken_findings(check: str, reference: Settings, candidate: Settings) -> Iterator[Finding]:
    taken = reference.get(TAKEN, 0), candidate.get(TAKEN, 0)
    if taken[0] != taken[1]:
        message = (
            f"the optimizer has taken {taken[0]} steps before in the reference and {taken[1]} in the "
            "candidate; the steps compared here begin with fresh optimizers"
        )
        yield Finding.note(check, TAKEN, message, values=taken)


def _differing(prefix: str, reference: Settings, candidate: Settings) -> list[str]:
    names = sorted({*reference, *candidate})
    mine = [name for name in names if name == prefix or name.startswith((f"{prefix}.", f"{prefix}_"))]
    return [name for name in mine if reference.get(name) != candidate.get(name)]


def _finding(check: str, name: str, reference: Settings, candidate: Settings) -> Finding:
    ours, theirs = reference.get(name), candidate.get(name)
    message = _another(name, ours, theirs)
    if name.endswith(CODE):
        owner = name.removesuffix(CODE)
        label = next((_called(side[owner]) for side in (reference, candidate) if owner in side), "it")
        message = f"compiled with another {owner}: {label}: {_own_in_words(ours, theirs)}"
    elif {name + CODE} <= {*reference} & {*candidate}:
        code = _own_in_words(reference[name + CODE], candidate[name + CODE])
        message = f"compiled with another {name}: {_called(ours)} / {_called(theirs)}, where {code}"
    return Finding.difference(check, name, message, values=(ours, theirs))


def _another(name: str, ours: Any, theirs: Any) -> str:
    return f"compiled with {'other' if name in METRICS else 'another'} {name}: {_in_words(ours, theirs)}"


def _pair(reference: Settings, candidate: Settings, name: str) -> str:
    return f"{shown(reference.get(name))} in the reference and {shown(candidate.get(name))} in the candidate"


def _called(value: Any) -> str:
    return str(value["class"]) if isinstance(value, Mapping) and "class" in value else str(value)


def _in_words(ours: Any, theirs: Any) -> str:
    """Say how two values differ; of two of one class of the user's, in what."""
    if all(isinstance(value, Mapping) and value.get("class") == OWN for value in (ours, theirs)):
        return _own_in_words(ours, theirs)
    own = [value.get("code") if isinstance(value, Mapping) else None for value in (ours, theirs)]
    if None not in own and own[0] != own[1]:
        called = " / ".join(dict.fromkeys((ours["class"], theirs["class"])))
        return f"{called}: {_own_in_words(*own)}"
    return f"{shown(ours)} in the reference, {shown(theirs)} in the candidate"


def _own_in_words(ours: Any, theirs: Any) -> str:
    """Say how two descriptions of own code differ, or the first two of several that do."""
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return next(_own_in_words(*pair) for pair in zip(ours, theirs, strict=True) if pair[0] != pair[1])
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return "; ".join(differences_in_words(ours, theirs))
    if isinstance(ours, list) or isinstance(theirs, list):
        return "not the same for all outputs"
    own, other = ("reference", "candidate") if ours is not None else ("candidate", "reference")
    return f"your own code in the {own} and Keras's in the {other}"


def _renamed(kind: str, ours: Any, theirs: Any) -> str:
    flat = zip(keras.tree.flatten(ours), keras.tree.flatten(theirs), strict=True)
    pairs = [f"{one!r} in the reference is {other!r} in the candidate" for one, other in flat if one != other]
    return (
        f"the same {kind} are logged under other names: {', '.join(pairs)}; a callback that monitors such a "
        "name works with one twin only"
    )
