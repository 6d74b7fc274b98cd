"""Declared builders against themselves at a git revision, whose own declaration says how it trains."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.plugin.declared import TRAINING_KEYS, DeclaredPair
from pytest_kerasequiv.plugin.then_and_now import RevisionOfSession, ThenAndNow

if TYPE_CHECKING:
    from pytest_kerasequiv.revision.against import Then
    from pytest_kerasequiv.training.plan import Training

OF_TWINS = ("input_shape", "compile")
"""Keys of a declaration that belong to the model; a revision has its own."""

OF_TRAINING = (
    *("epochs", "batch_size", "shuffle", "class_weight", "callbacks"),
    *("validation_split", "validation_steps", "steps_per_epoch"),
)
"""Keys that say how a model is trained; a revision has its own. How to decide is today's."""


def pairs_against(
    revision: RevisionOfSession, file: Path, pairs: Iterable[DeclaredPair]
) -> Iterator[DeclaredPair]:
    """Yield a pair for each declared builder: it, and the same at the revision."""
    for pair in pairs:
        sides = [side for side in ("reference", "candidate") if side in pair.entry]
        for side in sides:
            name = pair.name if side == sides[0] else f"{pair.name}.{side}"
            yield replace(pair, name=name, twins=_declared(revision, file, pair, side, name))


def _declared(
    revision: RevisionOfSession, file: Path, pair: DeclaredPair, side: str, name: str
) -> ThenAndNow:
    entry = pair.entry
    before = revision.declaration(file, pair.name)
    was = entry.get("was")
    options = {key: entry[key] for key in OF_TWINS if key in entry} | {"name": name}

    def then() -> Then:
        from pytest_kerasequiv.revision.against import Then

        known = entry if before is None else before
        renamed = was.get(side) if isinstance(was, Mapping) else was if side == "reference" else None
        plan = _plan_then(entry, before)
        return Then(renamed or pair.places[side], {key: known[key] for key in OF_TWINS if key in known}, plan)

    return ThenAndNow(revision, pair.places[side], options, then)


def _plan_then(
    entry: Mapping[str, Any], before: Mapping[str, Any] | None
) -> Callable[[Training], Any] | None:
    """Return what makes the plan of the revision from today's: its data and settings, today's decision."""
    if "data" not in entry:
        return None
    known = entry if before is None or "data" not in before else before

    def plan(training: Training) -> Mapping[str, Any]:
        decision = {key: getattr(training, key) for key in TRAINING_KEYS if key not in OF_TRAINING}
        settings = {key: known[key] for key in OF_TRAINING if key in known}
        otherwise = None if known is before else training
        return {"data": known["data"], "settings": {**decision, **settings}, "otherwise": otherwise}

    return plan
