"""Whether two models can be a pair: inputs that fit both, nothing shared, what was learned carried over."""

from __future__ import annotations

from dataclasses import replace

import keras

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.building.specs import (
    Specs,
    compatible,
    flat_specs,
    input_specs,
    output_count,
    show,
)
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.weights.adapted import adapt_like, lent

Models = tuple[keras.Model, keras.Model]
Sources = tuple[Source, Source]
Shapes = tuple[Specs | None, Specs | None]


def check_pair(models: Models, sources: Sources) -> None:
    """Refuse twins that no common input fits or that share variables.

    Raises:
        InputError: they are such.
    """
    __tracebackhide__ = True
    specs = input_specs(models[0]), input_specs(models[1])
    outputs = output_count(models[0]), output_count(models[1])
    check_fit(specs, outputs, (sources[0].label, sources[1].label))
    _refuse_shared(models, sources)


def check_fit(specs: Shapes, outputs: tuple[int | None, int | None], labels: tuple[str, str]) -> None:
    """Refuse twins that no common input fits, or that return another number of outputs.

    Args:
        specs: what inputs both take; ``None`` where that is not known.
        outputs: how many outputs both have, likewise.
        labels: how a reader knows them.

    Raises:
        InputError: they are such.
    """
    __tracebackhide__ = True
    inputs = [None if one is None else len(flat_specs(one)) for one in specs]
    for what, (one, other) in (("inputs", inputs), ("outputs", outputs)):
        if one is not None and other is not None and one != other:
            raise InputError(
                f"reference {labels[0]!r} has {_number(one, what)}, candidate {labels[1]!r} "
                f"has {other}; twins need equally many {what}, paired in order"
            )
    _check_shapes(specs, labels)


def _check_shapes(specs: Shapes, labels: tuple[str, str]) -> None:
    if specs[0] is None or specs[1] is None:
        return
    for index, (one, other) in enumerate(zip(flat_specs(specs[0]), flat_specs(specs[1]), strict=True)):
        if not compatible(one.shape, other.shape):
            raise InputError(
                f"input {index} of reference {labels[0]!r} has shape {one.shape[1:]}, of candidate "
                f"{labels[1]!r} {other.shape[1:]}; inputs are paired in order (dicts by name) and "
                f"must fit the same arrays (all inputs: {show(specs[0])} against {show(specs[1])})"
            )


def _refuse_shared(models: Models, sources: Sources) -> None:
    """Refuse twins that share what training changes; preprocessing or a frozen backbone may be shared."""
    __tracebackhide__ = True
    trained = {id(variable) for model in models for variable in model.trainable_variables}
    common = trained & {id(v) for v in models[0].variables} & {id(v) for v in models[1].variables}
    shared = [variable.path for variable in models[1].variables if id(variable) in common]
    if shared:
        named = ", ".join(map(repr, shared[:3])) + (f" and {len(shared) - 3} more" if len(shared) > 3 else "")
        raise InputError(
            f"reference {sources[0].label!r} and candidate {sources[1].label!r} share what training changes "
            f"({named}): training one would train the other; make these layers inside the builders, or "
            "freeze them (layer.trainable = False)"
        )


def adapted_alike(models: Models, sources: Sources) -> Sources:
    """Carry what preprocessing layers have learned, as weights are carried, to a side that lacks it.

    Statistics go to the candidate; a vocabulary or boundaries also to the reference, if that has none.
    """
    found = []
    for giver, taker, statistics in ((models[1], models[0], False), (models[0], models[1], True)):
        given = list(lent(giver, taker, statistics=statistics))
        for _, layer, learned in given:
            adapt_like(layer, learned)
        found.append(tuple((number, learned) for number, _, learned in given))
    ours, theirs = (replace(source, learned=learned) for source, learned in zip(sources, found, strict=True))
    return ours, theirs


def _number(count: int, what: str) -> str:
    return f"{count} {what.removesuffix('s') if count == 1 else what}"
