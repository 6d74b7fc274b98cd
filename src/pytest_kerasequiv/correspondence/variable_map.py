"""Which variable of the reference is which variable of the candidate."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pytest_kerasequiv.layers.matching import Match
from pytest_kerasequiv.program import ProgramMatch
from pytest_kerasequiv.weights.variables import is_seed, variables_of

Pairs = tuple[tuple[int, int], ...]
Source = Literal["program", "graph", "assignment"]


@dataclass(frozen=True)
class VariableMap:
    """A one-to-one map of variables, by their index in `variables_of`.

    Attributes:
        pairs: (reference, candidate), each variable at most once.
        source: what the map rests on.
        unmapped_reference: the reference's variables without a partner.
        unmapped_candidate: the candidate's.
        unlike: pairs in the same role of matched layers whose shapes do not fit; both are unmapped.
        ambiguous: groups of interchangeable parts of the reference, each part a tuple of variables: where a
            map that exchanges the parts is as good (two equal branches).
        dead_reference: variables of the reference's layers that no output needs and the candidate has not.
        dead_candidate: the same for the candidate.
        assigned: those of the pairs that the graph does not tell, found by path, shape and dtype.
        complete: no weight is unmapped; states of seed generators and dead layers do not count.
    """

    pairs: Pairs
    source: Source
    unmapped_reference: tuple[int, ...] = ()
    unmapped_candidate: tuple[int, ...] = ()
    unlike: Pairs = ()
    ambiguous: tuple[tuple[tuple[int, ...], ...], ...] = ()
    dead_reference: tuple[int, ...] = ()
    dead_candidate: tuple[int, ...] = ()
    assigned: Pairs = ()
    complete: bool = True

    def carry(
        self, reference_values: Sequence[NDArray[np.generic]], candidate_values: Sequence[NDArray[np.generic]]
    ) -> list[NDArray[np.generic]]:
        """Return values for the candidate: the reference's through the map, its own where it has no partner.

        A value is reshaped where a rewrite changes the shape (a Dense kernel in a Conv1D of kernel size 1)
        and cast to the candidate's dtype; else it is the reference's array itself, not a copy.
        """
        carried = list(candidate_values)
        for index, other in self.pairs:
            value, own = reference_values[index], candidate_values[other]
            fits = value.shape == own.shape and value.dtype == own.dtype
            carried[other] = value if fits else value.reshape(own.shape).astype(own.dtype, copy=False)
        return carried

    def resolved(
        self, reference_values: Sequence[NDArray[np.generic]], candidate_values: Sequence[NDArray[np.generic]]
    ) -> VariableMap:
        """Return the map, of those that are equally good, under which most values are equal.

        For copying weights any of them is right. For comparing values, two equal branches must not be taken
        for different only because they were built in another order.
        """
        theirs = dict(self.pairs)
        for parts in self.ambiguous:
            whole = [part for part in parts if all(index in theirs for index in part)]
            chosen = _best_exchange(whole, theirs, reference_values, candidate_values)
            theirs |= chosen
        return replace(self, pairs=tuple(sorted(theirs.items())))


def map_variables(
    reference_model: keras.Model,
    candidate_model: keras.Model,
    *,
    layer_match: Match | None,
    program_match: ProgramMatch | None,
) -> VariableMap:
    """Map variables: from the program where it is proved, else from the layer graph, else by assignment.

    Args:
        reference_model: the reference.
        candidate_model: the candidate.
        layer_match: how the layers correspond; ``None`` where a side has no layer graph.
        program_match: whether the traced programs are the same; ``None`` to do without.
    """
    ours, theirs = variables_of(reference_model), variables_of(candidate_model)
    if program_match is not None and program_match.proved:
        symmetries = layer_match.symmetries if layer_match is not None else ()
        return _finished(program_match.variables, "program", ours, theirs, symmetries=symmetries)
    if layer_match is not None:
        return _from_graph(layer_match, ours, theirs)
    pairs, ambiguous = assign_variables(ours, theirs)
    return _finished(pairs, "assignment", ours, theirs, symmetries=ambiguous)


def _from_graph(layer_match: Match, ours: Sequence[Any], theirs: Sequence[Any]) -> VariableMap:
    """Map by the layers that correspond; assign what is left over where it is not ambiguous."""
    dead = layer_match.dead_reference, layer_match.dead_candidate
    pairs = layer_match.variables
    left = _rest(range(len(ours)), {*(index for index, _ in pairs), *dead[0]})
    right = _rest(range(len(theirs)), {*(other for _, other in pairs), *dead[1]})
    found, ambiguous = assign_variables([ours[i] for i in left], [theirs[j] for j in right])
    doubtful = {left[i] for parts, _ in ambiguous for (i,) in parts}
    assigned = tuple((left[i], right[j]) for i, j in found if left[i] not in doubtful)
    symmetries = layer_match.symmetries
    mapped = _finished((*pairs, *assigned), "graph", ours, theirs, symmetries=symmetries, dead=dead)
    weights = tuple(pair for pair in assigned if not is_seed(ours[pair[0]]))
    return replace(mapped, pairs=tuple(sorted(mapped.pairs)), assigned=weights)


def carries(shape: Sequence[int], other: Sequence[int]) -> bool:
    """Tell whether values of one shape fit another: equal up to axes of length 1 in front.

    That is what a rewrite does: the kernel of a Dense layer, (in, out), is (1, in, out) in a Conv1D.
    """
    longer, shorter = (shape, other) if len(shape) >= len(other) else (other, shape)
    added = len(longer) - len(shorter)
    return list(longer[added:]) == list(shorter) and all(size == 1 for size in longer[:added])


def _finished(
    pairs: Pairs,
    source: Source,
    ours: Sequence[Any],
    theirs: Sequence[Any],
    *,
    symmetries: Any = (),
    dead: tuple[Sequence[int], Sequence[int]] = ((), ()),
) -> VariableMap:
    """Part the pairs that fit from those that do not, and list what is left on each side."""
    dead_ours, dead_theirs = dead
    fitting = tuple(pair for pair in pairs if carries(ours[pair[0]].shape, theirs[pair[1]].shape))
    left = _rest(range(len(ours)), {index for index, _ in fitting})
    right = _rest(range(len(theirs)), {other for _, other in fitting})
    needed = [ours[i] for i in left if i not in dead_ours] + [
        theirs[j] for j in right if j not in dead_theirs
    ]
    return VariableMap(
        pairs=fitting,
        source=source,
        unmapped_reference=left,
        unmapped_candidate=right,
        unlike=tuple(pair for pair in pairs if pair not in set(fitting)),
        ambiguous=tuple(parts for parts, _ in symmetries),
        dead_reference=tuple(dead_ours),
        dead_candidate=tuple(dead_theirs),
        complete=all(is_seed(variable) for variable in needed),
    )


def _best_exchange(
    parts: Sequence[tuple[int, ...]],
    theirs: Mapping[int, int],
    reference_values: Sequence[Any],
    candidate_values: Sequence[Any],
) -> dict[int, int]:
    """Exchange interchangeable parts so that as many values as possible are equal, or near."""
    images: list[tuple[int, ...]] = [tuple(theirs[index] for index in part) for part in parts]
    cost = np.zeros((len(parts), len(parts)))
    for row, part in enumerate(parts):
        for column, image in enumerate(images):
            cost[row, column] = sum(
                _distance(reference_values[index], candidate_values[other])
                for index, other in zip(part, image, strict=True)
            )
    rows, columns = linear_sum_assignment(cost)
    return {
        index: other
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        for index, other in zip(parts[row], images[column], strict=True)
    }


def _distance(ours: Any, theirs: Any) -> float:
    """Return 0 for equal values, else between 1 and 2 by how far they are apart."""
    theirs = theirs.reshape(ours.shape)
    if np.array_equal(ours, theirs):
        return 0.0
    with np.errstate(all="ignore"):
        apart = float(np.mean(np.abs(np.asarray(ours, float) - np.asarray(theirs, float))))
    return 2.0 - 1.0 / (1.0 + apart) if np.isfinite(apart) else 2.0


def _rest(indices: Sequence[int], used: set[int]) -> tuple[int, ...]:
    return tuple(index for index in indices if index not in used)


Parts = tuple[tuple[int, ...], ...]


def assign_variables(
    ours: Sequence[Any], theirs: Sequence[Any]
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[Parts, Parts], ...]]:
    """Pair variables of equal shape, dtype and trainability by the likeness of their paths and places.

    Returns:
        The pairs, and the groups in which another pairing is as likely, as (reference's, candidate's) parts
        of one variable each.
    """
    pairs: list[tuple[int, int]] = []
    ambiguous: list[tuple[Parts, Parts]] = []
    right = _groups(theirs)
    for key, left in _groups(ours).items():
        others = right.get(key, [])
        if not others:
            continue
        cost = [[-_likeness(ours, theirs, index, other) for other in others] for index in left]
        rows, columns = linear_sum_assignment(cost)
        chosen = [(left[row], others[column]) for row, column in zip(rows, columns, strict=True)]
        pairs += chosen
        if len(chosen) > 1 and not _decided(ours, theirs, chosen):
            ambiguous.append((tuple((i,) for i, _ in chosen), tuple((j,) for _, j in chosen)))
    return tuple(sorted(pairs)), tuple(ambiguous)


def _groups(variables: Sequence[Any]) -> dict[tuple[Any, ...], list[int]]:
    groups: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for index, variable in enumerate(variables):
        groups[tuple(variable.shape), str(variable.dtype), variable.name].append(index)
    return groups


def _likeness(ours: Sequence[Any], theirs: Sequence[Any], index: int, other: int) -> float:
    order = abs(index / max(len(ours), 1) - other / max(len(theirs), 1))
    return path_likeness(ours[index].path, theirs[other].path) - 0.5 * order


def path_likeness(path: str, other: str) -> float:
    """Return how alike two variable paths are, 0 to 1; numbers that Keras appends to names do not count."""
    first, second = (re.sub(r"_\d+(?=/|$)", "", text).split("/") for text in (path, other))
    return SequenceMatcher(None, first, second).ratio()


def _decided(ours: Sequence[Any], theirs: Sequence[Any], chosen: Sequence[tuple[int, int]]) -> bool:
    """Tell whether the paths alone tell the variables of a group apart, on both sides alike."""
    named = all(
        ours[index].path.split("/")[1:] == theirs[other].path.split("/")[1:] for index, other in chosen
    )
    return named and len({ours[index].path for index, _ in chosen}) == len(chosen)
