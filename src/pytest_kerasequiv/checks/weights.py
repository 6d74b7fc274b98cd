"""The check `weights`: variables that correspond one to one, set up alike and initialised alike?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pytest_kerasequiv.checks.vocabularies import vocabulary_findings
from pytest_kerasequiv.models.configs import shown
from pytest_kerasequiv.models.initial import VariableFacts, facts_of
from pytest_kerasequiv.models.rewrites.initialiser_form import form_of
from pytest_kerasequiv.models.variables import values_of
from pytest_kerasequiv.models.vocabularies import Learned, learned_of
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Verdict

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from pytest_kerasequiv.checks.pair import Pair
    from pytest_kerasequiv.models.weight_map import VariableMap

NAME = "weights"
Mode = Literal["copy", "own"]

WITHOUT_DRAWS = frozenset({"Zeros", "Ones", "Constant"})
"""Initialisers that give the same value each time."""


@dataclass(frozen=True)
class WeightsObservation:
    """The variables of one model: how they are set up, their values, and what is learned beside them."""

    facts: tuple[VariableFacts, ...]
    values: Sequence[NDArray[np.generic]]
    learned: tuple[Learned, ...] = ()


def observe(model: keras.Model) -> WeightsObservation:
    """Read the variables of a built model."""
    return WeightsObservation(facts_of(model), values_of(model), learned_of(model))


def compare(
    reference: WeightsObservation,
    candidate: WeightsObservation,
    variable_map: VariableMap,
    *,
    weights: Mode = "copy",
    fresh: bool = True,
) -> CheckResult:
    """Decide whether the variables of two models are the same.

    Args:
        reference: the reference's observation.
        candidate: the candidate's.
        variable_map: which variable is which.
        weights: ``"own"`` compares the values too; with ``"copy"`` values that differ are a note, and the
            initialisers decide.
        fresh: both sides were just built under one seed, so that equal values mean equal initialisation.
    """
    resolved = variable_map.resolved(reference.values, candidate.values)
    judge = _Judge(reference, candidate, resolved, weights=weights, fresh=fresh)
    found = [*judge.source(), *judge.partners(), *judge.setup(), *judge.initial()]
    found += vocabulary_findings(NAME, reference.learned, candidate.learned)
    findings = tuple(sorted(found, key=lambda finding: finding.severity != "difference"))
    different = any(finding.severity == "difference" for finding in findings)
    verdict = (
        Verdict.DIFFERENT if different else Verdict.INCONCLUSIVE if judge.undecided else Verdict.EQUIVALENT
    )
    evidence = None if verdict is Verdict.INCONCLUSIVE else Evidence.MEASURED
    return CheckResult(NAME, verdict, evidence, findings, judge.figures())


def run(pair: Pair) -> CheckResult:
    """Run the check on a pair of twins."""
    twins = pair.twins
    kinds = {twins.reference_source.kind, twins.candidate_source.kind}
    reference = WeightsObservation(
        facts_of(pair.reference), pair.reference_values, learned_of(pair.reference)
    )
    mode: Mode = "own" if twins.weights == "own" else "copy"
    return compare(
        reference, observe(pair.candidate), pair.variable_map, weights=mode, fresh=kinds == {"builder"}
    )


class _Judge:
    """Writes the findings of one comparison."""

    def __init__(
        self,
        reference: WeightsObservation,
        candidate: WeightsObservation,
        variable_map: VariableMap,
        *,
        weights: Mode,
        fresh: bool,
    ) -> None:
        self.reference = reference
        self.candidate = candidate
        self.map = variable_map
        self.weights = weights
        self.fresh = fresh
        self.undecided = False
        self._unequal = [pair for pair in self._weights() if not self._equal(pair)]

    def figures(self) -> dict[str, Any]:
        """The numbers behind the verdict."""
        return {
            "map": self.map.source,
            "pairs": len(self.map.pairs),
            "unmapped_reference": [self._name("reference", i) for i in self.map.unmapped_reference],
            "unmapped_candidate": [self._name("candidate", j) for j in self.map.unmapped_candidate],
            "weights": self.weights,
            "equal_values": len(self._weights()) - len(self._unequal),
            "unequal_values": len(self._unequal),
        }

    def source(self) -> Iterator[Finding]:
        """Say so where the map is no more than a good guess."""
        if self.map.source == "graph" and self.map.assigned:
            named = ", ".join(self._name("reference", index) for index, _ in self.map.assigned[:3])
            more = " and others" if len(self.map.assigned) > 3 else ""
            message = (
                f"the layers do not tell which variable {named}{more} is; mapped by path, shape and dtype"
            )
            yield Finding(NAME, None, None, "map", None, None, message, "note")
        if self.map.source != "assignment":
            return
        doubt = f"; {len(self.map.ambiguous)} groups could be mapped otherwise" if self.map.ambiguous else ""
        message = (
            "neither the program nor a layer graph tells which variable is which; they were mapped by "
            "path, shape, "
            f"dtype and order{doubt}"
        )
        yield Finding(NAME, None, None, "map", None, None, message, "note")

    def partners(self) -> Iterator[Finding]:
        """Variables without a partner, or whose partner has another shape."""
        unlike = set(self.map.unlike)
        for index, other in self.map.unlike:
            ours, theirs = self.reference.facts[index], self.candidate.facts[other]
            message = (
                f"{ours.name} of {_both(ours, theirs)} has shape {ours.shape} in the reference and "
                f"{theirs.shape} "
                "in the candidate"
            )
            yield Finding(
                NAME, ours.layer, theirs.layer, f"{ours.name} shape", ours.shape, theirs.shape, message
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

    def initial(self) -> Iterator[Finding]:
        """Initial values, and where they differ the initialisers."""
        if self.weights == "own":
            yield from self._values(self._unequal)
            return
        suspects = self._unequal if self.fresh else self._weights()
        differing = [(pair, fields) for pair in suspects if (fields := self._initialisers(pair))]
        for pair, fields in differing:
            yield from self._initialiser_findings(pair, fields)
        explained = {pair for pair, _ in differing}
        unknown = [pair for pair in self._unequal if pair not in explained and not self._same_maker(pair)]
        yield from self._unknown(unknown)
        rest = [pair for pair in self._unequal if pair not in explained and pair not in set(unknown)]
        overwritten = [pair for pair in rest if self.fresh and self._drawn_from_nothing(pair)]
        yield from self._values(overwritten, ", though both initialisers give the same: a builder sets it")
        rest = [pair for pair in rest if pair not in set(overwritten)]
        if rest:
            yield self._note(rest)

    def _weights(self) -> list[tuple[int, int]]:
        return [pair for pair in self.map.pairs if not self.reference.facts[pair[0]].seed]

    def _equal(self, pair: tuple[int, int]) -> bool:
        import numpy as np

        ours, theirs = self.reference.values[pair[0]], self.candidate.values[pair[1]]
        return bool(np.array_equal(ours.reshape(theirs.shape), theirs, equal_nan=True))

    def _name(self, side: str, index: int) -> str:
        facts = (self.reference if side == "reference" else self.candidate).facts[index]
        return f"{facts.layer}/{facts.name}"

    def _by_layer(
        self, field: str, read: Callable[[VariableFacts], Any], severity: Literal["difference", "note"]
    ) -> Iterator[Finding]:
        groups: dict[tuple[Any, ...], list[str]] = defaultdict(list)
        for index, other in self._weights():
            ours, theirs = self.reference.facts[index], self.candidate.facts[other]
            if read(ours) != read(theirs):
                groups[ours.layer, theirs.layer, read(ours), read(theirs)].append(ours.name)
        for (layer, its, mine, theirs_value), names in groups.items():
            where = layer if layer == its else f"{layer} / {its}"
            message = (
                f"{', '.join(names)} of {where}: {field} is {mine} in the reference and {theirs_value} in "
                "the "
                "candidate"
            )
            yield Finding(NAME, layer, its, field, mine, theirs_value, message, severity)

    def _values(self, pairs: Sequence[tuple[int, int]], why: str = "") -> Iterator[Finding]:
        import numpy as np

        for index, other in pairs:
            ours, theirs = self.reference.facts[index], self.candidate.facts[other]
            mine = np.asarray(self.reference.values[index], float)
            its = np.asarray(self.candidate.values[other], float).reshape(mine.shape)
            with np.errstate(all="ignore"):
                apart = np.abs(mine - its)
            worst = np.unravel_index(int(np.argmax(np.where(np.isnan(apart), np.inf, apart))), apart.shape)
            share = np.count_nonzero(apart != 0) / apart.size
            message = (
                f"{ours.name} of {_both(ours, theirs)}: {share:.1%} of the values differ, most at "
                f"{tuple(map(int, worst))}: {mine[worst]:.6g} in the reference, {its[worst]:.6g} in the "
                f"candidate{why}"
            )
            yield Finding(
                NAME, ours.layer, theirs.layer, ours.name, float(mine[worst]), float(its[worst]), message
            )

    def _initialisers(self, pair: tuple[int, int]) -> dict[str, tuple[Any, Any]]:
        ours, theirs = self.reference.facts[pair[0]].initialisers, self.candidate.facts[pair[1]].initialisers
        if not ours or not theirs:
            return {}
        names = [*ours, *(name for name in theirs if name not in ours)]
        pairs = {name: (ours.get(name), theirs.get(name)) for name in names}
        return {name: pair for name, pair in pairs.items() if form_of(pair[0]) != form_of(pair[1])}

    def _initialiser_findings(
        self, pair: tuple[int, int], fields: dict[str, tuple[Any, Any]]
    ) -> Iterator[Finding]:
        ours, theirs = self.reference.facts[pair[0]], self.candidate.facts[pair[1]]
        for field, (mine, its) in fields.items():
            message = (
                f"{ours.name} of {_both(ours, theirs)} is initialised differently: {field} is "
                f"{shown(mine)} in the "
                f"reference and {shown(its)} in the candidate"
            )
            yield Finding(NAME, ours.layer, theirs.layer, field, mine, its, message)

    def _same_maker(self, pair: tuple[int, int]) -> bool:
        """Tell whether the initialisers are known to agree: by config, or since the same code makes them."""
        ours, theirs = self.reference.facts[pair[0]], self.candidate.facts[pair[1]]
        known = bool(ours.initialisers) and bool(theirs.initialisers)
        return known or ours.maker == theirs.maker

    def _drawn_from_nothing(self, pair: tuple[int, int]) -> bool:
        """Tell whether the initialisers draw no random numbers, so that no order of drawing explains it."""
        given = [*self.reference.facts[pair[0]].initialisers.values()]
        kinds = [value["class"] for value in given if isinstance(value, Mapping) and "class" in value]
        return bool(kinds) and all(kind in WITHOUT_DRAWS for kind in kinds)

    def _unknown(self, pairs: Sequence[tuple[int, int]]) -> Iterator[Finding]:
        for index, other in pairs:
            self.undecided = True
            ours, theirs = self.reference.facts[index], self.candidate.facts[other]
            message = (
                f"{ours.name} of {_both(ours, theirs)}: the values differ and the configs do not name the "
                "initialisers, so that whether they agree is not known"
            )
            yield Finding(NAME, ours.layer, theirs.layer, ours.name, None, None, message, "note")

    def _note(self, pairs: Sequence[tuple[int, int]]) -> Finding:
        first = self.reference.facts[pairs[0][0]], self.candidate.facts[pairs[0][1]]
        why = "under one seed (drawn in another order, or set by a builder)" if self.fresh else "as given"
        message = (
            f"{len(pairs)} of {len(self._weights())} weights have other values {why}, first "
            f"{first[0].name} of "
            f"{_both(*first)}; their initialisers agree, and the numeric checks copy the reference's weights"
        )
        return Finding(NAME, first[0].layer, first[1].layer, first[0].name, None, None, message, "note")


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
        severity: Literal["difference", "note"] = "note" if is_dead else "difference"
        if side == "reference":
            yield Finding(NAME, layer, None, "variables", names, None, message, severity)
        else:
            yield Finding(NAME, None, layer, "variables", None, names, message, severity)


def _both(ours: VariableFacts, theirs: VariableFacts) -> str:
    return ours.layer if ours.layer == theirs.layer else f"{ours.layer} / {theirs.layer}"
