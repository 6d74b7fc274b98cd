"""A pair whose candidate runs on another backend, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.backends.backend_process import process_of, shipped
from pytest_kerasequiv.backends.elsewhere import Model, Structure
from pytest_kerasequiv.building.pairing import check_fit
from pytest_kerasequiv.building.sources import MissingShapeError
from pytest_kerasequiv.building.specs import input_specs, output_count
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks.numeric.views import view_of
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.trying_maps import equal_values, first_agreeing, near, smallest
from pytest_kerasequiv.correspondence.known import known_variables
from pytest_kerasequiv.correspondence.mapping import possible_maps
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.layers.layer_graph import LayerGraph
from pytest_kerasequiv.program import Program, ProgramMatch
from pytest_kerasequiv.program.skeleton import Alignment
from pytest_kerasequiv.running.perturbing import generic_values
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.surface.probes import NoProbes, probes_for, survey

Array = NDArray[np.generic]

_KEYS = count()


class BackendPair(Pair):
    """A reference on TensorFlow and a candidate on another backend; only the reference is a model here.

    Args:
        twins: the pair; its backend is that of the candidate.
        options: as `Pair` takes them.

    Attributes:
        backend: the candidate's backend.

    Raises:
        InputError: a setting cannot be used.
    """

    def __init__(self, twins: Twins, **options: Any) -> None:
        super().__init__(twins, **options)
        assert twins.backend is not None
        self.backend = twins.backend
        self._key = f"candidate {next(_KEYS)}"

    def build(self, *, traced: bool = True) -> None:  # noqa: ARG002 - the candidate's program is not traced
        """Build both sides.

        Raises:
            InputError: one cannot be built, or no common input fits both.
        """
        theirs = self.structure
        specs = input_specs(self.reference), theirs.specs
        labels = self.twins.reference_label, self.twins.candidate_label
        check_fit(specs, (output_count(self.reference), theirs.outputs), labels)

    def ask(self, what: str, *arguments: Any) -> Iterator[Any]:
        """Yield what the candidate's process answers.

        Raises:
            InputError: it cannot; the message says why.
        """
        asked = shipped("what is asked", (what, self._key, self._model, shipped("what is asked", arguments)))
        yield from process_of(self.backend).ask(asked)

    def answer(self, what: str, *arguments: Any) -> Any:
        """Return the one answer of the candidate's process; exceptions are those of `ask`."""
        (found,) = self.ask(what, *arguments)
        return found

    @cached_property
    def _model(self) -> bytes:
        given, options = self.twins.given
        try:
            specs = input_specs(self.reference)
        except MissingShapeError:  # the candidate may tell
            specs = None
        return shipped(f"candidate {self.twins.candidate_label!r}", Model(given, options, specs))

    @cached_property
    def structure(self) -> Structure:
        """What is known of the candidate before it is run."""
        found: Structure = self.answer("structure")
        self.twins.tell_specs(found.specs)
        return found

    @property
    def versions(self) -> dict[str, str]:
        """Name of a library -> version that the candidate runs on; none before it was looked at."""
        found = self.__dict__.get("structure")
        return {} if found is None else dict(found.versions)

    @cached_property
    def candidate_graph(self) -> LayerGraph | None:
        """The candidate's layer graph."""
        return self.structure.graph.graph

    @cached_property
    def candidate_program(self) -> Program:
        """The candidate's program, which was not traced."""
        return self.structure.program

    @cached_property
    def program_match(self) -> ProgramMatch:
        """That nothing is known of the candidate's program."""
        reason = f"the candidate runs on {self.backend}, and only TensorFlow's programs are traced"
        return ProgramMatch(False, reason=reason)

    @cached_property
    def alignment(self) -> Alignment:
        """That programs of two backends have no skeleton in common."""
        return Alignment(False)

    @cached_property
    def candidate_values(self) -> list[Array]:
        """The values under which the candidate is observed: the reference's through the map, or its own."""
        own = [one.value for one in self.structure.known]
        carried = self.variable_map.carry(self.common_values, own)
        if self.twins.weights == "own":
            both = zip(self.structure.known, own, carried, strict=True)
            return [given if one.seed else value for one, value, given in both]
        return carried

    @property
    def values(self) -> tuple[list[Array], list[Array] | None]:
        """What the candidate is observed under: its values, and those of probes under generic weights."""
        theirs = view_of(self.reference_twin).generic
        generic = None if theirs is None else self.variable_map.carry(theirs, self.candidate_values)
        return self.candidate_values, generic

    @cached_property
    def variable_map(self) -> VariableMap:
        """How the variables correspond; of several possible maps, by the outputs on one batch."""
        maps = possible_maps(
            known_variables(self.reference),
            self.structure.known,
            layer_match=self.layer_match,
            program_match=self.program_match,
            programs=(self.reference_program, self.candidate_program),
        )
        if len(maps) == 1:
            return maps[0]
        own = [one.value for one in self.structure.known]
        if self.twins.weights == "own":
            return max(maps, key=lambda one: equal_values(one, self.reference_values, own))
        return self._tried(maps, own)

    def _tried(self, maps: tuple[VariableMap, ...], own: list[Array]) -> VariableMap:
        values = generic_values(self.reference, self.reference_values, self.seed)
        runner = Runner(self.reference, values)
        with runner.holding():
            try:
                probe = smallest(probes_for(survey(self.reference), self.seed))
            except NoProbes:
                return maps[0]
            runner.reset_all()
            expected = runner.infer(probe.inputs).outputs

        def agrees(one: VariableMap) -> bool:
            found = self.answer("outputs", probe.inputs, one.carry(values, own))
            return len(found) == len(expected) and all(map(near, expected, found))

        return first_agreeing(maps, agrees)
