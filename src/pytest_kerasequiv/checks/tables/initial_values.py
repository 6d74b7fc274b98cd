"""The variables of a model as they are set up: layer, shape, dtype, trainability, initialiser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.layers.configs import fields_of, shown
from pytest_kerasequiv.layers.fingerprints import is_keras
from pytest_kerasequiv.layers.graph_reading import describe, named_functions
from pytest_kerasequiv.layers.rewrites.initialiser_form import form_of
from pytest_kerasequiv.verdict import Finding
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
    """

    layer: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    seed: bool
    initialisers: Mapping[str, Any]
    maker: str


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
    )


def _owned(layer: Any, path: str, above: frozenset[int]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (path of the layer, layer, variable); the cell of a recurrent layer goes by the layer's path."""
    own = [*getattr(layer, "_trainable_variables", ()), *getattr(layer, "_non_trainable_variables", ())]
    own += [generator.state for generator in getattr(layer, "_seed_generators", ())]
    yield from ((path, layer, variable) for variable in own)
    above = above | {id(layer)}
    for inner in getattr(layer, "_layers", ()):
        if id(inner) in above:
            continue
        is_cell = getattr(layer, "cell", None) is inner
        yield from _owned(inner, path if is_cell else f"{path}/{inner.name}", above)


def _config_of(owner: Any) -> Mapping[str, Any]:
    try:
        fields = fields_of(owner.get_config())[0]
    except NotImplementedError:
        return {}
    return {**fields, **named_functions(owner, fields)}


WITHOUT_DRAWS = frozenset({"Zeros", "Ones", "Constant"})
"""Initialisers that give the same value each time."""

MappedPair = tuple[int, int]
"""Numbers of a reference variable and of the candidate variable that it is mapped to."""


@dataclass(frozen=True)
class WeightsObservation:
    """The variables of one model: how they are set up, their values, and what is learned beside them."""

    facts: tuple[VariableFacts, ...]
    values: Sequence[NDArray[np.generic]]
    learned: tuple[Learned, ...] = ()


class InitialValues:
    """Compares what mapped variables begin with.

    Attributes:
        unequal: the mapped pairs whose values differ.
        unknown: those of them whose initialisers no config names, so that nothing explains the difference.
    """

    def __init__(
        self,
        reference: WeightsObservation,
        candidate: WeightsObservation,
        pairs: Sequence[MappedPair],
        *,
        fresh: bool,
    ) -> None:
        self._reference = reference
        self._candidate = candidate
        self._pairs = pairs
        self._fresh = fresh
        self.unequal = [pair for pair in pairs if not self._equal(pair)]
        suspects = self.unequal if fresh else pairs
        self._differing = {pair: fields for pair in suspects if (fields := self._initialisers(pair))}
        unexplained = [pair for pair in self.unequal if pair not in self._differing]
        self.unknown = [pair for pair in unexplained if not self._same_maker(pair)]
        self._same = [pair for pair in unexplained if self._same_maker(pair)]

    def own(self) -> Iterator[Finding]:
        """Compare the values as they came."""
        yield from map(self._values_differ, self.unequal)

    def initialised(self) -> Iterator[Finding]:
        """Compare the initialisers; values that differ though these agree are a note."""
        for pair, fields in self._differing.items():
            yield from self._initialisers_differ(pair, fields)
        yield from map(self._not_known, self.unknown)
        drawn = []
        for pair in self._same:
            if self._fresh and self._drawn_from_nothing(pair):
                yield self._values_differ(pair, ", though both initialisers give the same: a builder sets it")
            else:
                drawn.append(pair)
        if drawn:
            yield self._drawn_otherwise(drawn)

    def _facts(self, pair: MappedPair) -> tuple[VariableFacts, VariableFacts]:
        return self._reference.facts[pair[0]], self._candidate.facts[pair[1]]

    def _equal(self, pair: MappedPair) -> bool:
        ours, theirs = self._reference.values[pair[0]], self._candidate.values[pair[1]]
        return bool(np.array_equal(ours.reshape(theirs.shape), theirs, equal_nan=True))

    def _initialisers(self, pair: MappedPair) -> dict[str, tuple[Any, Any]]:
        """Return the settings of the initialisers that differ."""
        ours, theirs = (facts.initialisers for facts in self._facts(pair))
        if not ours or not theirs:
            return {}
        both = {name: (ours.get(name), theirs.get(name)) for name in {**ours, **theirs}}
        return {name: values for name, values in both.items() if form_of(values[0]) != form_of(values[1])}

    def _same_maker(self, pair: MappedPair) -> bool:
        """Tell whether the initialisers are known to agree: by config, or since the same code makes them."""
        ours, theirs = self._facts(pair)
        known = bool(ours.initialisers) and bool(theirs.initialisers)
        return known or (ours.maker == theirs.maker and not self._filled(pair))

    def _filled(self, pair: MappedPair) -> bool:
        """Tell whether each side is one number throughout, which no random draw gives: it was set so."""
        ours, theirs = self._reference.values[pair[0]], self._candidate.values[pair[1]]
        return all(bool(np.all(values == values.flat[0])) for values in (ours, theirs) if values.size)

    def _drawn_from_nothing(self, pair: MappedPair) -> bool:
        """Tell whether the initialisers draw no random numbers, so that no order of drawing explains it."""
        given = self._facts(pair)[0].initialisers.values()
        kinds = [value["class"] for value in given if isinstance(value, Mapping) and "class" in value]
        return bool(kinds) and all(kind in WITHOUT_DRAWS for kind in kinds)

    def _values_differ(self, pair: MappedPair, why: str = "") -> Finding:
        ours, theirs = self._facts(pair)
        mine = np.asarray(self._reference.values[pair[0]], float)
        its = np.asarray(self._candidate.values[pair[1]], float).reshape(mine.shape)
        with np.errstate(all="ignore"):
            apart = np.abs(mine - its)
        worst = np.unravel_index(int(np.argmax(np.where(np.isnan(apart), np.inf, apart))), apart.shape)
        share = np.count_nonzero(apart != 0) / apart.size
        message = (
            f"{ours.name} of {where(ours, theirs)}: {share:.1%} of the values differ, most at "
            f"{tuple(map(int, worst))}: {mine[worst]:.6g} in the reference, {its[worst]:.6g} in the "
            f"candidate{why}"
        )
        return _finding((ours, theirs), ours.name, (float(mine[worst]), float(its[worst])), message)

    def _initialisers_differ(self, pair: MappedPair, fields: dict[str, tuple[Any, Any]]) -> Iterator[Finding]:
        ours, theirs = self._facts(pair)
        for field, (mine, its) in fields.items():
            message = (
                f"{ours.name} of {where(ours, theirs)} is initialised differently: {field} is "
                f"{shown(mine)} in the reference and {shown(its)} in the candidate"
            )
            yield _finding((ours, theirs), field, (mine, its), message)

    def _not_known(self, pair: MappedPair) -> Finding:
        ours, theirs = self._facts(pair)
        message = (
            f"{ours.name} of {where(ours, theirs)}: the values differ and the configs do not name the "
            "initialisers, so that whether they agree is not known"
        )
        return _finding((ours, theirs), ours.name, (None, None), message, "note")

    def _drawn_otherwise(self, pairs: Sequence[MappedPair]) -> Finding:
        ours, theirs = self._facts(pairs[0])
        why = "under one seed (drawn in another order, or set by a builder)" if self._fresh else "as given"
        message = (
            f"{len(pairs)} of {len(self._pairs)} weights have other values {why}, first {ours.name} of "
            f"{where(ours, theirs)}; their initialisers agree, and the numeric checks copy the reference's "
            "weights"
        )
        return _finding((ours, theirs), ours.name, (None, None), message, "note")


def _finding(
    facts: tuple[VariableFacts, VariableFacts],
    field: str,
    values: tuple[Any, Any],
    message: str,
    severity: Literal["difference", "note"] = "difference",
) -> Finding:
    return Finding("weights", facts[0].layer, facts[1].layer, field, *values, message, severity)


def where(ours: VariableFacts, theirs: VariableFacts) -> str:
    """Return the layer of two mapped variables, or both layers where their paths differ."""
    return ours.layer if ours.layer == theirs.layer else f"{ours.layer} / {theirs.layer}"
