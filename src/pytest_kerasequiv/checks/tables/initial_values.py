"""The variables of a model as they are set up: layer, shape, dtype, trainability, initialiser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.starts import Start
from pytest_kerasequiv.checks.tables.constraints import constrained
from pytest_kerasequiv.checks.tables.drawing_laws import laws_in_words, same_law
from pytest_kerasequiv.keras_access.layers import held_layers, own_variables
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.layers.configs import read_config
from pytest_kerasequiv.layers.graph_reading import describe, named_functions
from pytest_kerasequiv.layers.plain_values import shown
from pytest_kerasequiv.verdict import OTHER_VALUES, Finding
from pytest_kerasequiv.weights.variables import is_seed, variables_of
from pytest_kerasequiv.weights.vocabularies import Learned

INITIALISER_FIELDS = {
    "recurrent_kernel": ("recurrent_initializer",),
    "pointwise_kernel": ("pointwise_initializer",),
    "depthwise_kernel": ("depthwise_initializer",),
    "kernel": ("kernel_initializer", "depthwise_initializer"),
    "bias": ("bias_initializer", "unit_forget_bias"),
}
"""Variable -> the config fields that decide its initial value, where it is not ``<variable>_initializer``."""


@dataclass(frozen=True)
class VariableFacts:
    """One variable without its value.

    Attributes:
        layer: Keras path of the layer that owns it.
        name: its name in the layer, ``"kernel"``.
        shape: its shape.
        dtype: its dtype.
        trainable: whether training changes it.
        seed: it is the state of a seed generator.
        initialisers: config fields that decide its initial value -> canonical value; empty where the config
            does not tell. Of the user's own initialisers a digest of the code is among them.
        maker: class of the owner, with its code and attributes if it is the user's: they decide what the
            config does not tell.
        constraint: class of its weight constraint, ``"None"`` without one.
        constrained: what that makes of values of every size, see `constraints.constrained`.
    """

    layer: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    seed: bool
    initialisers: Mapping[str, Any]
    maker: str
    constraint: str = "None"
    constrained: tuple[float, ...] | None = None


def facts_of(model: keras.Model) -> tuple[VariableFacts, ...]:
    """Return the facts of `variables_of(model)`, in its order."""
    owners = {id(variable): (path, layer) for path, layer, variable in _owned(model, model.name, frozenset())}
    configs: dict[int, Mapping[str, Any]] = {}
    makers: dict[int, str] = {}
    facts = []
    for variable in variables_of(model):
        path, owner = owners.get(id(variable), (model.name, model))
        if id(owner) not in configs:
            configs[id(owner)], makers[id(owner)] = _config_of(owner), _maker(owner)
        facts.append(_facts(variable, path, makers[id(owner)], configs[id(owner)]))
    return tuple(facts)


def _maker(owner: Any) -> str:
    cls = type(owner)
    return cls.__name__ if is_keras(cls) else f"{cls.__name__} {describe(owner)['config']!r}"


def _facts(variable: Any, path: str, maker: str, config: Mapping[str, Any]) -> VariableFacts:
    fields = INITIALISER_FIELDS.get(variable.name, (f"{variable.name}_initializer",))
    fields = (*fields, *(f"{name}.code" for name in fields))
    return VariableFacts(
        layer=path,
        name=str(variable.name),
        shape=tuple(variable.shape),
        dtype=str(variable.dtype),
        trainable=bool(variable.trainable),
        seed=is_seed(variable),
        initialisers={name: config[name] for name in fields if name in config},
        maker=maker,
        constraint=type(getattr(variable, "constraint", None)).__name__.replace("NoneType", "None"),
        constrained=constrained(variable),
    )


def _owned(layer: Any, path: str, above: frozenset[int]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (path of the layer, layer, variable); the cell of a recurrent layer goes by the layer's path."""
    yield from ((path, layer, variable) for variable in own_variables(layer))
    above = above | {id(layer)}
    for inner in held_layers(layer):
        if id(inner) in above:
            continue
        is_cell = getattr(layer, "cell", None) is inner
        yield from _owned(inner, path if is_cell else f"{path}/{inner.name}", above)


def _config_of(owner: Any) -> Mapping[str, Any]:
    fields, _, known = read_config(owner)
    return {} if not known else {**fields, **named_functions(owner, fields)}


WITHOUT_DRAWS = frozenset({"Zeros", "Ones", "Constant"})
"""Initialisers that give the same value each time."""

MappedPair = tuple[int, int]
"""Numbers of a reference variable and of the candidate variable that it is mapped to."""


@dataclass(frozen=True)
class WeightsObservation:
    """The variables of one model: how they are set up, their values, and what is learned beside them.

    Attributes:
        facts: each variable without its value.
        values: the values.
        learned: vocabularies and boundaries.
        starts: where the values of a freshly built model come from; ``None`` for given models and files.
        adapted: names of the layers that were given what the other twin has learned by ``adapt``.
    """

    facts: tuple[VariableFacts, ...]
    values: Sequence[NDArray[np.generic]]
    learned: tuple[Learned, ...] = ()
    starts: tuple[Start, ...] | None = None
    adapted: tuple[str, ...] = ()


class InitialValues:
    """Compares the values of mapped variables, and puts into words where they differ.

    Attributes:
        unequal: the mapped pairs whose values differ.
    """

    def __init__(
        self, reference: WeightsObservation, candidate: WeightsObservation, pairs: Sequence[MappedPair]
    ) -> None:
        self._reference = reference
        self._candidate = candidate
        self._pairs = pairs
        self.unequal = [pair for pair in pairs if not self._equal(pair)]

    def own(self) -> Iterator[Finding]:
        """Compare the values as they came."""
        yield from map(self.differ, self.unequal)

    def initialised(self) -> Iterator[Finding]:
        """Compare the initialisers of given models, whose values tell nothing about these."""
        named = {pair: list(initialiser_findings(self.facts(pair))) for pair in self._pairs}
        for found in named.values():
            yield from found
        unexplained = [pair for pair in self.unequal if not named[pair]]
        yield from (self._not_known(pair) for pair in unexplained if not self.same_maker(pair))
        same = [pair for pair in unexplained if self.same_maker(pair)]
        if same:
            yield self.drawn_otherwise(same, f"as given{self._fresh_side(same)}")

    def _fresh_side(self, pairs: Sequence[MappedPair]) -> str:
        """Name the side that a builder has just initialised, beside one that a file or a model brought."""
        places = {"reference": [ours for ours, _ in pairs], "candidate": [theirs for _, theirs in pairs]}
        starts = {"reference": self._reference.starts, "candidate": self._candidate.starts}
        fresh = [
            side
            for side, known in starts.items()
            if known is not None and all(known[place].untouched for place in places[side])
        ]
        return f", since the {fresh[0]}'s are freshly initialised" if len(fresh) == 1 else ""

    @property
    def unknown(self) -> bool:
        """Whether values differ that no initialiser explains."""
        named = (pair for pair in self.unequal if not list(initialiser_findings(self.facts(pair))))
        return any(not self.same_maker(pair) for pair in named)

    def facts(self, pair: MappedPair) -> tuple[VariableFacts, VariableFacts]:
        """Return how both variables are set up."""
        return self._reference.facts[pair[0]], self._candidate.facts[pair[1]]

    def _equal(self, pair: MappedPair) -> bool:
        ours, theirs = self._reference.values[pair[0]], self._candidate.values[pair[1]]
        return bool(np.array_equal(ours.reshape(theirs.shape), theirs, equal_nan=True))

    def same_maker(self, pair: MappedPair) -> bool:
        """Tell whether the initialisers are known to agree: by config, or since the same code makes them."""
        ours, theirs = self.facts(pair)
        known = bool(ours.initialisers) and bool(theirs.initialisers)
        return known or (ours.maker == theirs.maker and not self._filled(pair))

    def _filled(self, pair: MappedPair) -> bool:
        """Tell whether each side is one number throughout, which no random draw gives: it was set so."""
        ours, theirs = self._reference.values[pair[0]], self._candidate.values[pair[1]]
        return all(bool(np.all(values == values.flat[0])) for values in (ours, theirs) if values.size)

    def differ(
        self, pair: MappedPair, why: str = "", severity: Literal["difference", "note"] = "difference"
    ) -> Finding:
        """Name the share of values that differ, and the worst."""
        facts = self.facts(pair)
        mine = np.asarray(self._reference.values[pair[0]], float)
        its = np.asarray(self._candidate.values[pair[1]], float).reshape(mine.shape)
        with np.errstate(all="ignore"):
            apart = np.abs(mine - its)
        worst = np.unravel_index(int(np.argmax(np.where(np.isnan(apart), np.inf, apart))), apart.shape)
        share = np.count_nonzero(apart != 0) / apart.size
        message = (
            f": {share:.1%}{OTHER_VALUES}, most at {tuple(map(int, worst))}: {mine[worst]:.6g} in the "
            f"reference, {its[worst]:.6g} in the candidate{why}"
        )
        return finding(facts, facts[0].name, (float(mine[worst]), float(its[worst])), message, severity)

    def _not_known(self, pair: MappedPair) -> Finding:
        message = (
            ": the values differ and the configs do not name the initialisers, so that whether they agree is "
            "not known"
        )
        return finding(self.facts(pair), None, (None, None), message, "note")

    def drawn_otherwise(
        self, pairs: Sequence[MappedPair], why: str = "under one seed (drawn in another order)"
    ) -> Finding:
        """Say that values differ though they are drawn alike."""
        ours, theirs = self.facts(pairs[0])
        message = (
            f"{len(pairs)} of {len(self._pairs)} weights have other values {why}, first {ours.name} of "
            f"{where(ours, theirs)}; their initialisers agree, and the numeric checks copy the reference's "
            "weights"
        )
        return Finding.note("weights", ours.name, message, layers=(ours.layer, theirs.layer))


def initialiser_findings(facts: tuple[VariableFacts, VariableFacts]) -> Iterator[Finding]:
    """Return a finding for each setting of the initialisers, named in the configs, that differs."""
    ours, theirs = (_by_role(side.initialisers) for side in facts)
    if not ours or not theirs:
        return
    shapes = facts[0].shape, facts[1].shape
    for role in {**ours, **theirs}:
        (name, mine), (other, its) = (side.get(role, (None, None)) for side in (ours, theirs))
        if not same_law(mine, its, shapes):
            field = " / ".join(dict.fromkeys(one for one in (name, other) if one is not None))
            laws = laws_in_words(mine, its, shapes)
            both = f"in the reference and {shown(its)} in the candidate"
            message = f" is initialised differently: {field} is {shown(mine)} {laws or both}"
            yield finding(facts, field, (mine, its), message)


def _by_role(initialisers: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    """Return the fields by what they are for: layers name their initialisers after their own variables."""
    roles = {}
    for name, value in initialisers.items():
        _, found, rest = name.partition("_initializer")
        roles[f"initializer{rest}" if found else name] = name, value
    return roles


def without_draws(facts: VariableFacts) -> bool:
    """Tell whether the config names initialisers, and none of them draws random numbers."""
    given = facts.initialisers.values()
    kinds = [value["class"] for value in given if isinstance(value, Mapping) and "class" in value]
    return bool(kinds) and all(kind in WITHOUT_DRAWS for kind in kinds)


def finding(
    facts: tuple[VariableFacts, VariableFacts],
    field: str | None,
    values: tuple[Any, Any],
    message: str,
    severity: Literal["difference", "note"] = "difference",
) -> Finding:
    """Return a finding about two mapped variables; ``kernel of functional/dense`` begins the message."""
    ours, theirs = facts
    text = f"{ours.name} of {where(ours, theirs)}{message}"
    made = Finding.difference if severity == "difference" else Finding.note
    return made("weights", field or ours.name, text, layers=(ours.layer, theirs.layer), values=values)


def where(ours: VariableFacts, theirs: VariableFacts) -> str:
    """Return the layer of two mapped variables, or both layers where their paths differ."""
    return ours.layer if ours.layer == theirs.layer else f"{ours.layer} / {theirs.layer}"
