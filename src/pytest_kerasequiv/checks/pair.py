"""What the checks share about one pair of twins: each thing is looked at once, when first needed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv import arguments
from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.building.starts import starts_in_words, starts_of
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks.trying_maps import chosen_map
from pytest_kerasequiv.correspondence.known import known_variables
from pytest_kerasequiv.correspondence.mapping import possible_maps
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.layers.graph_reading import layer_graph
from pytest_kerasequiv.layers.layer_graph import LayerGraph, NoLayerGraph
from pytest_kerasequiv.layers.matching import Match, match
from pytest_kerasequiv.program import Program, ProgramMatch, match_programs, trace
from pytest_kerasequiv.program.conditions import Conditions, conditions_apart
from pytest_kerasequiv.program.proof import same_entries
from pytest_kerasequiv.program.skeleton import Alignment, align
from pytest_kerasequiv.weights.variables import is_seed, values_of, variables_of


@dataclass(frozen=True)
class Twin:
    """One side of a pair, and what is known of it without the other."""

    pair: Pair
    role: Literal["reference", "candidate"]

    @property
    def model(self) -> keras.Model:
        """The built model."""
        return self.pair.reference if self.role == "reference" else self.pair.candidate

    @property
    def source(self) -> Source:
        """Makes the model again."""
        twins = self.pair.twins
        return twins.reference_source if self.role == "reference" else twins.candidate_source

    @property
    def values(self) -> list[NDArray[np.generic]]:
        """The values of its variables as it came."""
        return self.pair.reference_values if self.role == "reference" else values_of(self.pair.candidate)

    @property
    def graph(self) -> LayerGraph | None:
        """Its layer graph; ``None`` where it has none (a subclassed model)."""
        return self.pair.reference_graph if self.role == "reference" else self.pair.candidate_graph

    @property
    def program(self) -> Program:
        """Its traced program."""
        return self.pair.reference_program if self.role == "reference" else self.pair.candidate_program


@dataclass(frozen=True)
class Correspondence:
    """What of one twin is what of the other: layers, operations, variables; looked for when first needed."""

    pair: Pair

    @property
    def reference(self) -> Twin:
        """The reference, for its structure."""
        return self.pair.reference_twin

    @property
    def candidate(self) -> Twin:
        """The candidate, for its structure."""
        return self.pair.candidate_twin

    @property
    def own(self) -> bool:
        """Whether each twin is observed under the weights it came with, so that none need correspond."""
        return self.pair.twins.weights == "own"

    @property
    def constants_decide(self) -> bool:
        """Whether values that no seed moves are part of the model: both sides are made by builders."""
        return self.pair.twins.constants_decide

    @property
    def proved(self) -> bool:
        """Whether the traced programs are proved to be the same."""
        return self.programs.proved

    @property
    def comparable(self) -> bool:
        """Whether both twins can be observed under the same weights, or need not."""
        return self.own or self.variables.complete

    @property
    def layers(self) -> Match | None:
        """How the layers correspond; ``None`` unless both twins have a graph."""
        return self.pair.layer_match

    @property
    def programs(self) -> ProgramMatch:
        """How the traced programs correspond."""
        return self.pair.program_match

    @property
    def alignment(self) -> Alignment:
        """Whether the traced programs have one skeleton, and over which constants they part."""
        return self.pair.alignment

    @property
    def conditions(self) -> tuple[Conditions, Conditions]:
        """The conditions on inputs that only the reference has, and only the candidate."""
        return self.pair.conditions

    @property
    def variables(self) -> VariableMap:
        """How the variables correspond."""
        return self.pair.variable_map


class Pair:
    """The twins, the settings of one comparison, and what has been found out about them so far.

    Attributes:
        generic: whether numeric observations are made under generic weights alone, which a recording can
            make again.
        runs: whether the twins are run, and not described alone.

    Raises:
        InputError: a setting cannot be used.
    """

    generic = False
    runs = True

    def __init__(
        self,
        twins: Twins,
        *,
        seed: int = 0,
        inputs: Any = None,
        rtol: float | None = None,
        atol: float | None = None,
    ) -> None:
        self.twins = twins
        self.seed = arguments.seed(seed)
        self.inputs = inputs
        twins.tell_inputs(inputs)
        self.rtol, self.atol = arguments.tolerances(rtol, atol)

    @property
    def reference_twin(self) -> Twin:
        """The reference, to be observed alone."""
        return Twin(self, "reference")

    @property
    def candidate_twin(self) -> Twin:
        """The candidate, to be observed alone."""
        return Twin(self, "candidate")

    @property
    def correspondence(self) -> Correspondence:
        """What of the reference is what of the candidate."""
        return Correspondence(self)

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the comparison, which are those of each check unless it is given others."""
        return {"seed": self.seed, "inputs": self.inputs, "rtol": self.rtol, "atol": self.atol}

    @property
    def reference(self) -> keras.Model:
        """The built reference."""
        return self.twins.reference

    @property
    def candidate(self) -> keras.Model:
        """The built candidate."""
        return self.twins.candidate

    def build(self, *, traced: bool = True) -> None:
        """Build both sides, and trace the reference before the candidate's builder runs.

        A global that both builders set is then the reference's in the reference's program.

        Args:
            traced: whether what is asked needs the program at all.
        """
        if traced:
            _ = self.reference_program
        _ = self.reference, self.candidate
        if self.twins.reference_source.learned:
            # Traced before it took on what the candidate's layers have learned by adapt(): trace it again.
            self.__dict__.pop("reference_program", None)

    @cached_property
    def reference_graph(self) -> LayerGraph | None:
        """The reference's layer graph; ``None`` where it has none (a subclassed model)."""
        return _graph_or_none(self.reference)

    @cached_property
    def candidate_graph(self) -> LayerGraph | None:
        """The candidate's layer graph; ``None`` where it has none."""
        return _graph_or_none(self.candidate)

    @cached_property
    def layer_match(self) -> Match | None:
        """How the layers of the two graphs correspond; ``None`` unless both sides have a graph."""
        if self.reference_graph is None or self.candidate_graph is None:
            return None
        return match(self.reference_graph, self.candidate_graph)

    @cached_property
    def reference_program(self) -> Program:
        """The reference's traced program."""
        return trace(self.reference)

    @cached_property
    def candidate_program(self) -> Program:
        """The candidate's traced program."""
        return trace(self.candidate)

    @cached_property
    def program_match(self) -> ProgramMatch:
        """Whether the traced programs are the same, and how their variables correspond."""
        programs = self.reference_program, self.candidate_program
        if all(program.unique for program in programs):
            return match_programs(*programs)
        return match_programs(*programs, (self.reference_starts(), _starts_in_words(self.candidate)))

    def reference_starts(self) -> list[str]:
        """Return what each variable of the reference starts from, in words."""
        return _starts_in_words(self.reference)

    def same_in(self, wanted: Callable[[str], bool]) -> bool:
        """Whether entries that are wanted were traced, and are all proved the same under the map."""
        parts = {
            program.nodes[index].part
            for program in (self.reference_program, self.candidate_program)
            for index in program.results
        }
        found = set(filter(wanted, parts))
        return bool(found) and found <= self._same_entries

    @cached_property
    def _same_entries(self) -> frozenset[str]:
        if self.variable_map.carried:
            return frozenset()
        return same_entries(self.reference_program, self.candidate_program, self.variable_map.pairs)

    @cached_property
    def alignment(self) -> Alignment:
        """Whether the traced programs have one skeleton, and over which constants they part."""
        if self.program_match.proved:
            return Alignment(True, sharp=True)
        return align(self.reference_program, self.candidate_program)

    @cached_property
    def conditions(self) -> tuple[Conditions, Conditions]:
        """The conditions that each of two rewritten programs has alone; other constants are partings."""
        if self.alignment.same:
            return (), ()
        return conditions_apart(self.reference_program, self.candidate_program)

    @cached_property
    def variable_map(self) -> VariableMap:
        """How the variables correspond: by the program where proved, else the graph, else a hypothesis.

        Where several maps are possible, each is tried on one batch, unless values tell.
        """
        maps = possible_maps(
            known_variables(self.reference),
            known_variables(self.candidate),
            layer_match=self.layer_match,
            program_match=self.program_match,
            programs=(self.reference_program, self.candidate_program),
        )
        own = self.twins.weights == "own" or not self.runs
        return chosen_map(maps, self.reference, self.candidate, own=own, seed=self.seed)

    @cached_property
    def reference_values(self) -> list[NDArray[np.generic]]:
        """The reference's variable values as the twins came."""
        return values_of(self.reference)

    @cached_property
    def common_values(self) -> list[NDArray[np.generic]]:
        """The values under which the reference is observed, in its order of variables."""
        return self.reference_values

    @cached_property
    def candidate_values(self) -> list[NDArray[np.generic]]:
        """The values under which the candidate is observed: the reference's through the map, or its own."""
        own = values_of(self.candidate)
        carried = self.variable_map.carry(self.common_values, own)
        if self.twins.weights == "own":
            # Files do not hold seeds: another seed is no other weight, and both draw the same masks.
            both = zip(variables_of(self.candidate), own, carried, strict=True)
            return [given if is_seed(variable) else value for variable, value, given in both]
        return carried


def _starts_in_words(model: keras.Model) -> list[str]:
    return starts_in_words(starts_of(model), values_of(model), list(map(is_seed, variables_of(model))))


def _graph_or_none(model: keras.Model) -> LayerGraph | None:
    try:
        with (
            preserved_state()
        ):  # reading the nodes of stateful layers makes symbolic tensors, which are counted
            return layer_graph(model)
    except NoLayerGraph:
        return None
