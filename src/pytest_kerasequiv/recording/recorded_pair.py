"""A pair whose reference is a recording."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.specs import compatible, flat_specs, input_specs, show
from pytest_kerasequiv.building.starts import starts_in_words
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.trying_maps import agree, first_agreeing
from pytest_kerasequiv.correspondence.known import known_variables
from pytest_kerasequiv.correspondence.mapping import possible_maps
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.layers.layer_graph import LayerGraph
from pytest_kerasequiv.program import Program, ProgramMatch
from pytest_kerasequiv.recording.content import Content
from pytest_kerasequiv.recording.held_values import digest_of, generic_weights, restored
from pytest_kerasequiv.recording.plan_forms import Draws, KeptPlan, planned
from pytest_kerasequiv.recording.provenance import other_versions
from pytest_kerasequiv.recording.sketching import sketched
from pytest_kerasequiv.running.input_layout import checked_inputs, input_layout
from pytest_kerasequiv.running.running import Runner
from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.weights.variables import values_of

Array = NDArray[Any]


class RecordedPair(Pair):
    """A recorded reference and a candidate, the settings of one comparison, and what has been found out.

    Args:
        twins: the pair; its reference names the recording.
        content: the recording.
        options: as `Pair` takes them.

    Attributes:
        trains_reference: makes what trains the reference under a plan, where its own code is at hand;
            ``None`` where the recorded runs are all there is.

    Raises:
        InputError: a setting cannot be used, or is another than the recording was made with.
    """

    generic = True
    trains_reference: Callable[[Training], Arm] | None = None

    def __init__(self, twins: Twins, content: Content, **options: Any) -> None:
        super().__init__(twins, **options)
        self.content = content
        self.where = str(twins.recording)
        twins.tell_specs(content.structure.specs)
        if twins.weights == "own":
            raise InputError(
                f"weights='own' cannot be used with the recording {self.where!r}, which holds no weights; "
                "leave weights away, or compare with the model file itself"
            )
        if self.seed != content.structure.seed:
            raise InputError(
                f"the recording {self.where!r} was made with seed={content.structure.seed}, and "
                f"seed={self.seed} asks for other batches and weights; pass the seed it was made with, or "
                "record it again"
            )

    def build(self, *, traced: bool = True) -> None:  # noqa: ARG002 - the program is there
        """Build the candidate.

        Raises:
            InputError: it takes other inputs than the recorded model, or others are given than were recorded.
        """
        theirs, ours = input_specs(self.candidate), self.content.structure.specs
        if theirs is not None and ours is not None:
            pairs = zip(flat_specs(ours), flat_specs(theirs), strict=False)
            fits = len(flat_specs(ours)) == len(flat_specs(theirs))
            if not fits or not all(compatible(one.shape, other.shape) for one, other in pairs):
                raise InputError(
                    f"the recording {self.where!r} is of a model that takes {show(ours)}, and candidate "
                    f"{self.twins.candidate_label!r} takes {show(theirs)}; compare it with a model for the "
                    "same inputs, or record it again"
                )
        _ = self.draws

    @cached_property
    def flat_inputs(self) -> list[Array]:
        """The user's own inputs, flattened; none where none are given.

        Raises:
            InputError: they are not those of the recording.
        """
        given = [] if self.inputs is None else checked_inputs(self.inputs, input_layout(self.candidate))
        if tuple(map(digest_of, given)) == self.content.structure.inputs:
            return list(given)
        raise InputError(
            f"the recording {self.where!r} was made with "
            + ("other inputs= than are given" if self.content.structure.inputs else "no inputs=")
            + "; pass those it was made with, or record it again"
        )

    @cached_property
    def draws(self) -> Draws:
        """What the batches of recorded plans are drawn from."""
        return Draws(self.content.structure.survey, self.seed, self.flat_inputs)

    @cached_property
    def reference_graph(self) -> LayerGraph | None:
        """The recorded layer graph."""
        graph: LayerGraph | None = self.content.answers["graph"].observation.graph
        return graph

    @cached_property
    def reference_program(self) -> Program:
        """The recorded program."""
        program: Program = self.content.answers["program"].observation
        return program

    @cached_property
    def program_match(self) -> ProgramMatch:
        """Whether the programs are the same; not known where other versions traced them."""
        other = other_versions(self.content.made)
        if other:
            return ProgramMatch(False, reason=f"the reference was recorded under {other}")
        found: ProgramMatch = super().program_match
        return found

    def reference_starts(self) -> list[str]:
        """Return what each variable of the reference starts from, in words."""
        started = self.content.answers["weights"].observation.variables
        seeds = [held.seed for held in self.content.structure.variables]
        return starts_in_words(started.starts, self.reference_values, seeds)

    @cached_property
    def reference_values(self) -> list[NDArray[np.generic]]:
        """Values that equal one another, and the candidate's, where the recorded ones did."""
        return restored(self.content.structure.variables, values_of(self.candidate))

    @cached_property
    def common_values(self) -> list[NDArray[np.generic]]:
        """Generic weights, drawn as they were for the recording."""
        return generic_weights(self.content.structure.variables, self.seed)

    @cached_property
    def variable_map(self) -> VariableMap:
        """How the variables correspond; of several possible maps, by the recorded outputs."""
        both = zip(self.content.structure.variables, self.reference_values, strict=True)
        maps = possible_maps(
            tuple(held.known(value) for held, value in both),
            known_variables(self.candidate),
            layer_match=self.layer_match,
            program_match=self.program_match,
            programs=(self.reference_program, self.candidate_program),
        )
        return maps[0] if len(maps) == 1 else self._tried(maps)

    def _tried(self, maps: tuple[VariableMap, ...]) -> VariableMap:
        """Return the first map under which the candidate gives the recorded outputs; else the likeliest."""
        answer = self.content.answers.get("outputs")
        kept = None if answer is None else answer.plans[0]
        if answer is None or not isinstance(kept, KeptPlan):
            return maps[0]
        plan, runs = planned(kept, self.draws, self.where), answer.observation.inference.computed
        places = [k for k, run in enumerate(runs) if run.outcome is not None]
        if not places:
            return maps[0]
        place = next((k for k in places if plan.probes[k].batch_size > 1), places[0])
        theirs = Runner(self.candidate, values_of(self.candidate))
        expected, inputs = runs[place].outcome.outputs, plan.probes[place].inputs

        def agrees(one: VariableMap) -> bool:
            under = theirs.under(one.carry(self.common_values, theirs.values))
            return agree(under, inputs, expected, lambda output: sketched(output, ()))

        return first_agreeing(maps, agrees)
