"""Which variable of the reference is which variable of the candidate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_kerasequiv.models.roles import SEED_ROLE
from pytest_kerasequiv.models.variables import variables_of

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from pytest_kerasequiv.models.matching import Match
    from pytest_kerasequiv.models.program import ProgramMatch

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
        ambiguous: groups of the reference's variables that could as well be exchanged for one another.
        complete: no weight is unmapped; states of seed generators do not count.
    """

    pairs: Pairs
    source: Source
    unmapped_reference: tuple[int, ...] = ()
    unmapped_candidate: tuple[int, ...] = ()
    unlike: Pairs = ()
    ambiguous: tuple[tuple[tuple[int, ...], ...], ...] = ()
    complete: bool = True

    def carry(
        self, reference_values: Sequence[NDArray[np.generic]], candidate_values: Sequence[NDArray[np.generic]]
    ) -> list[NDArray[np.generic]]:
        """Return values for the candidate: the reference's through the map, its own where it has no partner.

        A value is reshaped where a rewrite changes the shape (a Dense kernel in a Conv1D of kernel size 1) and
        cast to the candidate's dtype.
        """
        carried = list(candidate_values)
        for index, other in self.pairs:
            own = candidate_values[other]
            carried[other] = reference_values[index].reshape(own.shape).astype(own.dtype)
        return carried


def map_variables(
    reference_model: keras.Model,
    candidate_model: keras.Model,
    *,
    layer_match: Match | None,
    program_match: ProgramMatch | None,
) -> VariableMap:
    """Map the variables of two models: from the program where it is proved, else from the graph, else by assignment.

    Args:
        reference_model: the reference.
        candidate_model: the candidate.
        layer_match: how the layers correspond; ``None`` where a side has no layer graph.
        program_match: whether the traced programs are the same; ``None`` to do without.
    """
    ours, theirs = variables_of(reference_model), variables_of(candidate_model)
    if program_match is not None and program_match.proved:
        return _finished(program_match.variables, "program", ours, theirs)
    if layer_match is not None:
        return _finished(layer_match.variables, "graph", ours, theirs, layer_match.symmetries)
    from pytest_kerasequiv.models.assignment import assign_variables

    pairs, ambiguous = assign_variables(ours, theirs)
    return _finished(pairs, "assignment", ours, theirs, ambiguous)


def carries(shape: Sequence[int], other: Sequence[int]) -> bool:
    """Tell whether values of one shape fit another: equal up to axes of length 1."""
    return [size for size in shape if size != 1] == [size for size in other if size != 1]


def is_seed(variable: Any) -> bool:
    """Tell whether a variable is the state of a seed generator."""
    return str(variable.name).startswith(SEED_ROLE)


def _finished(
    pairs: Pairs, source: Source, ours: Sequence[Any], theirs: Sequence[Any], symmetries: Any = ()
) -> VariableMap:
    """Part the pairs that fit from those that do not, and list what is left on each side."""
    fitting = tuple(pair for pair in pairs if carries(ours[pair[0]].shape, theirs[pair[1]].shape))
    left = _rest(range(len(ours)), {index for index, _ in fitting})
    right = _rest(range(len(theirs)), {other for _, other in fitting})
    return VariableMap(
        pairs=fitting,
        source=source,
        unmapped_reference=left,
        unmapped_candidate=right,
        unlike=tuple(pair for pair in pairs if pair not in set(fitting)),
        ambiguous=tuple(parts for parts, _ in symmetries),
        complete=all(map(is_seed, [*(ours[i] for i in left), *(theirs[j] for j in right)])),
    )


def _rest(indices: Sequence[int], used: set[int]) -> tuple[int, ...]:
    return tuple(index for index in indices if index not in used)
