"""The check `weights`: variables that correspond one to one, set up alike and initialised alike?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.building.starts import starts_of
from pytest_kerasequiv.building.twins import BUILD_SEED, OTHER_SEED
from pytest_kerasequiv.checks.blame import shared_attributes
from pytest_kerasequiv.checks.pair import Correspondence, Twin
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.checks.tables.constraints import alike
from pytest_kerasequiv.checks.tables.fresh_starts import FreshStarts, Severity, Side, explained
from pytest_kerasequiv.checks.tables.initial_values import (
    InitialValues,
    MappedPair,
    VariableFacts,
    WeightsObservation,
    facts_of,
    where,
)
from pytest_kerasequiv.checks.tables.lookups import vocabulary_findings
from pytest_kerasequiv.checks.tables.partitions import equal_draws, equal_starts
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.program import Program
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind, Verdict
from pytest_kerasequiv.weights.adapted import adapting_layers
from pytest_kerasequiv.weights.variables import values_of
from pytest_kerasequiv.weights.vocabularies import learned_of

NAME = "weights"
Mode = Literal["copy", "own"]
Values = Sequence[NDArray[np.generic]]


@dataclass(frozen=True)
class StartObservation:
    """What one model starts from.

    Attributes:
        variables: how its variables are set up, and their values.
        again: the values of another build, under another seed; none where one build tells all.
    """

    variables: WeightsObservation | None = None
    again: tuple[NDArray[np.generic], ...] | None = None


def plan(_: Twin, __: Correspondence | None = None) -> Iterator[int]:
    """Yield the seeds of the builds to look at: that of the twins, and another."""
    yield from (BUILD_SEED, OTHER_SEED)


def observe(twin: Twin, seed: int) -> StartObservation:
    """Read the variables of a twin, or those of another build under another seed."""
    if seed == BUILD_SEED:
        return StartObservation(variables=observe_variables(twin.model, twin.values, twin.source))
    starts = starts_of(twin.model)
    facts = facts_of(twin.model)
    if starts is None or all(map(explained, starts, facts)):
        return StartObservation()
    return StartObservation(again=tuple(values_of(twin.source.build_as_given(seed))))


def observe_variables(
    model: keras.Model, values: Values | None = None, source: Source | None = None
) -> WeightsObservation:
    """Read the variables of a built model.

    Args:
        model: the model.
        values: its values, where they have been read.
        source: what made it, which tells what it was given of the other twin.
    """
    read = values_of(model) if values is None else values
    given = () if source is None else source.learned
    adapted = tuple(adapting_layers(model)[number].name for number, _ in given)
    return WeightsObservation(facts_of(model), read, learned_of(model), starts_of(model), adapted)


def compare(reference: StartObservation, candidate: StartObservation, between: Correspondence) -> CheckResult:
    """Decide whether the variables of two models are the same.

    Args:
        reference: what the reference starts from.
        candidate: what the candidate starts from.
        between: what corresponds.
    """
    assert reference.variables is not None
    assert candidate.variables is not None
    return compare_variables(
        reference.variables,
        candidate.variables,
        between.variables,
        again=(reference.again, candidate.again),
        weights="own" if between.own else "copy",
        constants_decide=between.constants_decide,
        idle=(_idle(between.reference.program), _idle(between.candidate.program)),
    )


def further(result: CheckResult, _: Correspondence) -> bool:
    """Whether another build can tell more of where values come from."""
    return bool(result.figures["untold_starts"])


def compare_variables(
    reference: WeightsObservation,
    candidate: WeightsObservation,
    variable_map: VariableMap,
    *,
    again: tuple[Values | None, Values | None] = (None, None),
    weights: Mode = "copy",
    constants_decide: bool = True,
    idle: tuple[Set[int], Set[int]] = (frozenset(), frozenset()),
) -> CheckResult:
    """Decide from the variables of both.

    Args:
        reference: the reference's observation.
        candidate: the candidate's.
        variable_map: which variable is which.
        again: the values of another build of each side, where one was made.
        weights: ``"own"`` compares the values too; with ``"copy"`` values that differ are a note, and the
            initialisers decide.
        constants_decide: values that no seed moves decide even so, where both sides are built by builders.
        idle: the variables of each side that its program does not use: seeds that nothing is drawn from.
    """
    resolved = variable_map.resolved(reference.values, candidate.values)
    setup = _Setup(reference, candidate, resolved)
    values = InitialValues(reference, candidate, setup.weights)
    drawing = [pair for pair in setup.seeds if pair[0] not in idle[0] and pair[1] not in idle[1]]
    sides = Side.of(reference, again[0]), Side.of(candidate, again[1])
    starts = _starts(sides, setup.weights, values, own=weights == "own", constants_decide=constants_decide)
    found = [
        *setup.source(),
        *setup.partners(),
        *setup.setup(),
        *starts.found,
        *equal_draws((reference.facts, candidate.facts), (reference.values, candidate.values), drawing),
        *vocabulary_findings(NAME, reference.learned, candidate.learned),
        *_carried(reference, candidate),
    ]
    figures = {
        **setup.figures(),
        "weights": weights,
        "equal_values": len(setup.weights) - len(values.unequal),
        "unequal_values": len(values.unequal),
        "untold_starts": starts.untold,
    }
    return _result(found, figures, setup.doubt(), undecided=starts.undecided)


class _Starts(NamedTuple):
    """What comparing the values found, whether anything stays open, and what only another build tells."""

    found: list[Finding]
    undecided: bool
    untold: int


def _starts(
    sides: tuple[Side | None, Side | None],
    pairs: Sequence[MappedPair],
    values: InitialValues,
    *,
    own: bool,
    constants_decide: bool,
) -> _Starts:
    """Compare the values as they came, where from, or where that is not known, the initialisers."""
    if own:
        return _Starts(list(values.own()), undecided=False, untold=0)
    reference, candidate = sides
    if reference is None or candidate is None:
        return _Starts(list(values.initialised()), undecided=values.unknown, untold=0)
    constants: Severity = "difference" if constants_decide else "note"
    fresh = FreshStarts(reference, candidate, pairs, constants=constants)
    found = [*fresh.findings(values), *equal_starts(reference, candidate, pairs)]
    return _Starts(found, fresh.undecided, fresh.untold)


def _result(
    found: Sequence[Finding], figures: dict[str, Any], doubt: Finding | None, *, undecided: bool
) -> CheckResult:
    findings = tuple(sorted(found, key=lambda finding: finding.severity != "difference"))
    different = any(finding.severity == "difference" for finding in findings)
    if different and doubt is not None:
        findings = (doubt, *(replace(finding, severity="note") for finding in findings))
        different, undecided = False, True
    verdict = Verdict.DIFFERENT if different else Verdict.INCONCLUSIVE if undecided else Verdict.EQUIVALENT
    evidence = None if verdict is Verdict.INCONCLUSIVE else Evidence.MEASURED
    return CheckResult(NAME, verdict, evidence, findings, figures)


def _carried(reference: WeightsObservation, candidate: WeightsObservation) -> Iterator[Finding]:
    """Say what one side has learned by ``adapt`` and the other was given."""
    for side, giver, taken in (
        ("reference", "candidate", reference.adapted),
        ("candidate", "reference", candidate.adapted),
    ):
        if taken:
            named = ", ".join(map(repr, taken))
            message = f"what adapt() learned was carried from the {giver} to {named} of the {side}"
            yield Finding.note(NAME, "adapt", f"{message}, as weights are")


def _idle(program: Program) -> set[int]:
    """Return the variables that a traced program does not use; none where it could not be traced."""
    if program.reason is not None or not program.nodes:
        return set()
    read = {place for node in program.nodes for place, _ in node.inputs}
    return set(range(len(program.variables))) - read


class _Setup:
    """Writes the findings about which variable is which and how both are set up.

    Attributes:
        weights: the mapped pairs that are no seed states.
        seeds: the mapped pairs that are.
    """

    def __init__(
        self, reference: WeightsObservation, candidate: WeightsObservation, variable_map: VariableMap
    ) -> None:
        self.reference = reference
        self.candidate = candidate
        self.map = variable_map
        self.weights = [pair for pair in variable_map.pairs if not reference.facts[pair[0]].seed]
        self.seeds = [pair for pair in variable_map.pairs if reference.facts[pair[0]].seed]

    def figures(self) -> dict[str, Any]:
        """The numbers of the map."""
        return {
            "map": self.map.source,
            "certain": self.map.certain,
            "maps_tried": self.map.tried,
            "pairs": len(self.map.pairs),
            "table": self._table(),
            "unmapped_reference": [self._name("reference", i) for i in self.map.unmapped_reference],
            "unmapped_candidate": [self._name("candidate", j) for j in self.map.unmapped_candidate],
        }

    def _table(self) -> list[dict[str, Any]]:
        """One row for each pair: both paths, both shapes, and what tells that they correspond."""
        return [
            {
                "reference": self._name("reference", index),
                "candidate": self._name("candidate", other),
                "reference_shape": list(self.reference.facts[index].shape),
                "candidate_shape": list(self.candidate.facts[other].shape),
                "carried": str(self.map.carried.get((index, other), "as it is" if same else "reshaped")),
                "by": self.map.source,
            }
            for index, other in self.weights
            for same in [self.reference.facts[index].shape == self.candidate.facts[other].shape]
        ]

    def source(self) -> Iterator[Finding]:
        """Say so where the map is no more than a good guess."""
        if self.map.source == "graph" and self.map.assigned:
            named = ", ".join(self._name("reference", index) for index, _ in self.map.assigned[:3])
            more = " and others" if len(self.map.assigned) > 3 else ""
            message = (
                f"the layers do not tell which variable {named}{more} is; mapped by path, shape and dtype"
            )
            yield Finding.note(NAME, "map", message)
        if self.map.source != "hypothesis":
            return
        yield Finding.note(NAME, "map", self._told())

    def _told(self) -> str:
        if self.map.tried and self.map.certain:
            return f"which variable is which was found by trying {self.map.tried} maps on a batch"
        if self.map.tried:
            return (
                f"which variable is which is not certain: {self.map.tried} maps were tried, and none gives "
                "the same outputs"
            )
        doubt = f"; {len(self.map.ambiguous)} groups could be mapped otherwise" if self.map.ambiguous else ""
        return (
            "neither the program nor a layer graph tells which variable is which; they were mapped by "
            f"path, shape, dtype and order{doubt}"
        )

    def doubt(self) -> Finding | None:
        """Return why differences between partners say nothing; ``None`` where the map is certain."""
        if self.map.certain:
            return None
        message = (
            "variables differ under the likeliest map, but which is which is not certain"
            if self.map.complete
            else "some variables have no partner, but both sides hold equally many numbers: they may be "
            "packed otherwise (one Dense for three that are read side by side)"
        )
        return Finding.difference(NAME, "map", f"{message}; so nothing is decided")

    def partners(self) -> Iterator[Finding]:
        """Variables without a partner, or whose partner has another shape."""
        unlike = set(self.map.unlike)
        for index, other in self.map.unlike:
            ours, theirs = self.reference.facts[index], self.candidate.facts[other]
            message = (
                f"{ours.name} of {where(ours, theirs)} has shape {ours.shape} in the reference and "
                f"{theirs.shape} in the candidate"
            )
            yield Finding.difference(
                NAME,
                f"{ours.name} shape",
                message,
                layers=(ours.layer, theirs.layer),
                values=(ours.shape, theirs.shape),
            )
        left = [i for i in self.map.unmapped_reference if i not in {index for index, _ in unlike}]
        right = [j for j in self.map.unmapped_candidate if j not in {other for _, other in unlike}]
        yield from _one_sided(self.reference, left, "reference", self.map.dead_reference)
        yield from _one_sided(self.candidate, right, "candidate", self.map.dead_candidate)

    def setup(self) -> Iterator[Finding]:
        """Dtype and trainability of mapped variables, and the shapes that a rewrite changes."""
        yield from self._by_layer("trainable", lambda facts: facts.trainable, "difference")
        yield from self._by_layer("dtype", lambda facts: facts.dtype, "difference")
        yield from self._by_layer("shape", lambda facts: facts.shape, "note")
        yield from self._constraints()

    def _constraints(self) -> Iterator[Finding]:
        """Constraints that make other values of some, perhaps of none that a short training reaches."""
        for index, other in self.weights:
            ours, theirs = self.reference.facts[index], self.candidate.facts[other]
            way = self.map.carried.get((index, other))
            transposed = way is not None and way.axes is not None
            shapes = ours.shape, theirs.shape
            if not alike(ours.constrained, theirs.constrained, shapes, transposed=transposed):
                values = ours.constraint, theirs.constraint
                message = (
                    f"{ours.name} of {where(ours, theirs)}: its constraint ({values[0]} in the reference, "
                    f"{values[1]} in the candidate) makes other values of weights of some sizes"
                )
                layers = ours.layer, theirs.layer
                yield Finding.difference(NAME, "constraint", message, layers=layers, values=values)

    def _name(self, side: str, index: int) -> str:
        facts = (self.reference if side == "reference" else self.candidate).facts[index]
        return f"{facts.layer}/{facts.name}"

    def _by_layer(
        self, field: str, read: Callable[[VariableFacts], Any], severity: Literal["difference", "note"]
    ) -> Iterator[Finding]:
        groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
        for index, other in self.weights:
            ours, theirs = self.reference.facts[index], self.candidate.facts[other]
            if read(ours) != read(theirs):
                groups[ours.layer, theirs.layer, read(ours), read(theirs)].append(ours.name)
        for (layer, its, mine, theirs_value), names in groups.items():
            owner = layer if layer == its else f"{layer} / {its}"
            message = (
                f"{', '.join(names)} of {owner}: {field} is {mine} in the reference and {theirs_value} in "
                "the candidate"
            )
            made = Finding.difference if severity == "difference" else Finding.note
            yield made(NAME, field, message, layers=(layer, its), values=(mine, theirs_value))


def _one_sided(
    observation: WeightsObservation, indices: Sequence[int], side: str, dead: Sequence[int]
) -> Iterator[Finding]:
    groups: dict[tuple[str, bool], list[VariableFacts]] = defaultdict(list)
    for index in indices:
        if not observation.facts[index].seed:
            groups[observation.facts[index].layer, index in dead].append(observation.facts[index])
    for (layer, is_dead), facts in groups.items():
        named = ", ".join(f"{fact.name} {fact.shape}" for fact in facts)
        message = f"only the {side} has {named} of {layer}" + (", which no output needs" if is_dead else "")
        names = [fact.name for fact in facts]
        made = Finding.note if is_dead else Finding.difference
        if side == "reference":
            yield made(NAME, "variables", message, layers=(layer, None), values=(names, None))
        else:
            yield made(NAME, "variables", message, layers=(None, layer), values=(None, names))


CHECK = Check(
    NAME,
    Kind.START,
    plan=plan,
    observe=observe,
    compare=compare,
    further=further,
    explain=shared_attributes.explain,
    next_step='weights="copy" compares the models without the values that their weights hold.',
)
