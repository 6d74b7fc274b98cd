"""Comparing what preprocessing layers keep outside the model's variables."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from pytest_kerasequiv.verdict import Finding
from pytest_kerasequiv.weights.vocabularies import Learned


def vocabulary_findings(
    check: str, reference: Sequence[Learned], candidate: Sequence[Learned]
) -> list[Finding]:
    """Return a finding for every vocabulary or list of boundaries that differs.

    Where one side has more of them than the other, a layer was written in another way: then nothing is said,
    and the outputs decide.

    Args:
        check: name of the check on whose behalf.
        reference: what `learned_of` returned for the reference.
        candidate: the same for the candidate.
    """
    found = []
    for what in ("vocabulary", "bin_boundaries"):
        ours = [one for one in reference if one.what == what]
        theirs = [one for one in candidate if one.what == what]
        if len(ours) == len(theirs):
            found += [_finding(check, *pair) for pair in zip(*_unequal(ours, theirs), strict=True)]
    return found


def _unequal(ours: list[Learned], theirs: list[Learned]) -> tuple[list[Learned], list[Learned]]:
    """Leave out those that have an equal partner, whatever their order."""
    left, right = [], list(theirs)
    for one in ours:
        partner = next((other for other in right if other.items == one.items), None)
        if partner is None:
            left.append(one)
        else:
            right.remove(partner)
    return left, right


def _finding(check: str, ours: Learned, theirs: Learned) -> Finding:
    pairs = enumerate(zip_longest(ours.items, theirs.items))
    place, (mine, its) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
    where = ours.layer if ours.layer == theirs.layer else f"{ours.layer} / {theirs.layer}"
    message = (
        f"{ours.what} of {where} differs: {len(ours.items)} entries in the reference, {len(theirs.items)} in "
        f"the candidate, and entry {place} is {_shown(mine)} against {_shown(its)}"
    )
    return Finding.difference(
        check, ours.what, message, layers=(ours.layer, theirs.layer), values=(mine, its)
    )


def _shown(item: object) -> str:
    return "missing" if item is None else repr(item)
