"""Which recorded layer calls of the twins correspond: by the matched layer graphs, else by their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import keras

from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.keras_access.functional import Functional
from pytest_kerasequiv.layers.layer_graph import LayerGraph
from pytest_kerasequiv.running.layer_calls import LayerCall
from pytest_kerasequiv.weights.variables import variables_of


@dataclass(frozen=True)
class Calls:
    """The recorded calls of one model, and the live layer behind each."""

    calls: tuple[LayerCall, ...]
    layers: tuple[keras.Layer, ...]

    def children(self, parent: int) -> list[int]:
        """Return the calls made directly inside a call, in order; -1 for those of the model itself.

        A nested Sequential or functional model is looked through: its calls count as those of its caller.
        """
        found = []
        for index, call in enumerate(self.calls):
            if call.parent == parent:
                found += self.children(index) if _is_graph(self.layers[index]) else [index]
        return found

    def opened(self, parent: int, known: Collection[str]) -> list[int]:
        """Return what `children` does, with their own calls in place of composite layers of unknown class."""
        found = []
        for index in self.children(parent):
            inner = self.calls[index].kind not in known and self.opened(index, known)
            found += inner or [index]
        return found

    @property
    def kinds(self) -> set[str]:
        """The classes of the layers that are called."""
        return {call.kind for call in self.calls}


@dataclass(frozen=True)
class CallPair:
    """Two corresponding calls, by index."""

    reference: int
    candidate: int


def call_pairs(
    pair: Pair | None, reference: Calls, candidate: Calls, within: CallPair | None = None
) -> list[CallPair]:
    """Return the corresponding calls, in the order of the reference.

    Where one side has a layer of the user's and the other the layers that it calls, these correspond.

    Args:
        pair: the twins, whose matched graphs are used where both have one; ``None`` to go by order.
        reference: the reference's calls.
        candidate: the candidate's.
        within: two composite calls, to pair what they call; by default what the models call.
    """
    match = pair.layer_match if pair is not None else None
    if pair is not None and match is not None and pair.reference_graph and pair.candidate_graph:
        ours, theirs = _by_node(pair.reference_graph, reference), _by_node(pair.candidate_graph, candidate)
        known = [CallPair(ours[a], theirs[b]) for a, b in match.pairs if a in ours and b in theirs]
        found = [one for one in known if _alike(one, reference, candidate)]
        return sorted([*found, *_opened_pairs(pair, found, reference, candidate)], key=lambda p: p.reference)
    first, second = (within.reference, within.candidate) if within is not None else (-1, -1)
    found = _by_order(reference, reference.children(first), candidate, candidate.children(second))
    opened = [] if pair is None else _opened_pairs(pair, [], reference, candidate)
    return opened if len(opened) > len(found) else found


def _opened_pairs(
    pair: Pair, known: Sequence[CallPair], reference: Calls, candidate: Calls
) -> list[CallPair]:
    """Pair what layers call that have no partner, by the weights that they hold and the order of the rest."""
    ours = _left(reference, {one.reference for one in known}, candidate.kinds)
    theirs = _left(candidate, {one.candidate for one in known}, reference.kinds)
    if all(
        side.calls[i].parent == -1 for side, left in ((reference, ours), (candidate, theirs)) for i in left
    ):
        return []  # no layer is opened
    partners = dict(pair.variable_map.pairs)
    keys = (
        _held(pair.reference, reference, ours, lambda index: partners.get(index, -1)),
        _held(pair.candidate, candidate, theirs, lambda index: index),
    )
    return _by_order(reference, ours, candidate, theirs, keys)


def _alike(pair: CallPair, reference: Calls, candidate: Calls) -> bool:
    """Tell whether two calls are of one class, or both or neither of layers that call others."""
    calls = (reference, pair.reference), (candidate, pair.candidate)
    kinds = {side.calls[index].kind for side, index in calls}
    return len(kinds) == 1 or len({bool(side.children(index)) for side, index in calls}) == 1


def _left(calls: Calls, paired: Collection[int], known: Collection[str]) -> list[int]:
    return [index for index in calls.opened(-1, known) if index not in paired]


def _held(
    model: keras.Model, calls: Calls, some: Sequence[int], named: Callable[[int], int]
) -> list[Hashable]:
    """Return for each of some calls the class of its layer, and the weights that this holds."""
    place = {id(variable): index for index, variable in enumerate(variables_of(model))}
    held = [[place.get(id(v), -1) for v in getattr(calls.layers[i], "weights", ())] for i in some]
    return [
        (calls.calls[i].kind, *sorted(map(named, weights))) for i, weights in zip(some, held, strict=True)
    ]


def with_outputs(pairs: list[CallPair], reference: Sequence[int], candidate: Sequence[int]) -> list[CallPair]:
    """Add the calls that make the models' outputs, by position, where neither has a partner yet.

    Args:
        pairs: the pairs so far.
        reference: for each output of the reference, the recorded call that made it.
        candidate: the same for the candidate.
    """
    paired = [{p.reference for p in pairs}, {p.candidate for p in pairs}]
    added = [
        CallPair(ours, theirs)
        for ours, theirs in zip(reference, candidate, strict=False)
        if min(ours, theirs) >= 0 and ours not in paired[0] and theirs not in paired[1]
    ]
    return sorted([*pairs, *dict.fromkeys(added)], key=lambda p: p.reference)


def left_over(pairs: Sequence[CallPair], reference: Calls, candidate: Calls) -> list[CallPair]:
    """Pair the calls of the models themselves that have no partner, in order, if both sides have as many."""
    ours = [index for index in reference.children(-1) if index not in {p.reference for p in pairs}]
    theirs = [index for index in candidate.children(-1) if index not in {p.candidate for p in pairs}]
    return [CallPair(a, b) for a, b in zip(ours, theirs, strict=True)] if len(ours) == len(theirs) else []


def _by_node(graph: LayerGraph, calls: Calls) -> dict[int, int]:
    """Return node -> recorded call: the n-th node of a path is its n-th call."""
    recorded = {call.key: index for index, call in enumerate(calls.calls)}
    seen: Counter[str] = Counter()
    found = {}
    for index, node in enumerate(graph.nodes):
        key = (node.path, seen[node.path])
        seen[node.path] += 1
        if key in recorded:
            found[index] = recorded[key]
    return found


def _by_order(
    reference: Calls,
    ours: list[int],
    candidate: Calls,
    theirs: list[int],
    keys: tuple[Sequence[Hashable], Sequence[Hashable]] | None = None,
) -> list[CallPair]:
    """Pair calls that come in the same order, with the same class, or equal keys, where possible."""
    kinds = [[c.calls[i].kind for i in side] for c, side in ((reference, ours), (candidate, theirs))]
    first, second = keys or kinds
    found = []
    for tag, a, b, c, d in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if tag == "equal" or (tag == "replace" and b - a == d - c):
            found += [CallPair(ours[a + k], theirs[c + k]) for k in range(b - a)]
    return found


def _is_graph(layer: keras.Layer) -> bool:
    return isinstance(layer, keras.Sequential | Functional)
