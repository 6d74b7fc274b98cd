"""The surface of a model: every way in which its users call it, listed here and nowhere else.

`pytest_kerasequiv.program` traces each of these entries, the numeric checks run each, and a proof names
those that it covers. What Keras's own steps do beyond the calls (loss, metrics) is an entry of its own, so
that ``train_step`` and ``test_step`` are entries only where a class overrides them or what they call.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, StrEnum
from itertools import count
from typing import Any

import keras

from pytest_kerasequiv.building.batches import given_batch
from pytest_kerasequiv.building.specs import input_specs, show
from pytest_kerasequiv.keras_access.compile_state import loss_in_force
from pytest_kerasequiv.keras_access.layers import layers_within, takes_training
from pytest_kerasequiv.keras_access.origin import is_keras, is_library
from pytest_kerasequiv.layers.fixed_training import called_in_training_mode
from pytest_kerasequiv.surface.lengths import (
    compared_in_code,
    lengths_in_code,
    names_in_code,
    own_layers,
    texts_in_code,
)

MOST_LENGTHS = 6
"""How many numbers in the user's code are taken for lengths that it may compare with; the smallest count."""

MOST_VALUES = 8
"""How many values of one keyword of ``call`` are tried."""

MOST_OF_NONE = 6
"""How many texts, how many numbers and how many choices are tried where nothing tells which it is."""

TRAIN = (
    "train_step",
    "compute_loss",
    "compute_metrics",
    "get_metrics_result",
    "metrics",
    "trainable_variables",
    "trainable_weights",
)
TEST = ("test_step", "compute_loss", "compute_metrics", "get_metrics_result", "metrics")
STEPS = {"train_step": TRAIN, "test_step": TEST, "predict_step": ("predict_step",)}
"""Step -> the members of Model that it consists of; a class with one of its own has the step as an entry."""

READING_BATCHES = frozenset({*STEPS, "compute_loss", "compute_metrics"})
"""Members of Model whose code may tell which parts of a batch are given."""

LOOPS = (
    "fit",
    "make_train_function",
    "train_on_batch",
    "evaluate",
    "make_test_function",
    "test_on_batch",
    "predict",
    "make_predict_function",
    "predict_on_batch",
)
"""Methods of Model that run steps from Python: they cannot be traced where a class has its own."""

FUNCTIONS = ("train_function", "test_function", "predict_function")
"""Attributes in which Model keeps what its loops run."""


class Kind(StrEnum):
    """What is done in an entry."""

    INFERENCE = "inference"
    TRAINING = "training"
    CALL = "call"
    COMPILED = "compiled"
    STEP = "step"


class Batch(StrEnum):
    """What a step is given."""

    USUAL = "what fit or predict mostly give it: targets as well where a loss is compiled, else inputs alone"
    ALONE = "inputs alone"
    TARGETS = "inputs and targets, without and with sample weights"


class Given(StrEnum):
    """What is given for an argument of ``call`` that may be a tensor."""

    MASK = "a mask"
    LIKE_INPUT = "a tensor like the input"


@dataclass(frozen=True)
class Entry:
    """One way in which a model is called.

    Attributes:
        name: what it is called in reports; the same on both sides of a pair.
        kind: what is done.
        shapes: structures of `Spec`, with ``None`` for an input that is left out; the first that the model
            takes counts.
        modes: what ``training`` is, call by call; ``None``: it is not given.
        arguments: further keyword arguments of ``call``; a `Given` stands for a tensor.
        method: name of the method, for a step.
        batch: what a step is given.
        tentative: whether a model may refuse it: one that does has no such entry.
    """

    name: str
    kind: Kind
    shapes: tuple[Any, ...]
    modes: tuple[bool | None, ...] = (False,)
    arguments: tuple[tuple[str, Any], ...] = ()
    method: str = ""
    batch: Batch = Batch.USUAL
    tentative: bool = False


def entries_of(model: keras.Model) -> tuple[Entry, ...]:
    """List the surface of a built model.

    Inference and training come first. Then, where the model has them: the compiled loss and metrics; steps of
    its own; a plain call; keyword arguments; optional inputs left out; free axes at sizes of their own.
    """
    specs = input_specs(model)
    if specs is None:
        return (Entry("inference", Kind.INFERENCE, (None,)),)
    shapes = _open_or_settled(specs)
    found = [
        Entry("inference", Kind.INFERENCE, shapes),
        Entry("training", Kind.TRAINING, shapes, (True,)),
    ]
    if model.compiled:
        found.append(Entry("loss and metrics", Kind.COMPILED, shapes))
    found += [step for name in own_steps(model) for step in _step(model, name, shapes)]
    if tells_plain_calls(model):
        found.append(Entry("plain call", Kind.CALL, shapes, (None,)))
    return (*found, *_keywords(model, shapes), *_without_optional(specs), *_sized(model, specs))


def _open_or_settled(specs: Any) -> tuple[Any, ...]:
    """Return the inputs with free axes open, and settled for a model that cannot be called so."""
    return (specs, *_alternatives(specs, 64, 256)) if _is_free(specs) else (specs,)


def _is_free(specs: Any) -> bool:
    return any(None in spec.shape[1:] for spec in keras.tree.flatten(specs))


def _alternatives(specs: Any, *bases: int, step: int = 32) -> list[Any]:
    return [shapes for base in bases for shapes in sizes(specs, base, step)]


def own_steps(model: keras.Model) -> list[str]:
    """Return the steps in which a class of the user's has a part."""
    found = [step for step, parts in STEPS.items() if any(overrides(model, part) for part in parts)]
    return [*found, *(["reset_metrics"] if overrides(model, "reset_metrics") else [])]


def _step(model: keras.Model, name: str, shapes: tuple[Any, ...]) -> Iterator[Entry]:
    """Yield a step as it is mostly run, and on the batches that it is run on less often: code may branch.

    One of Keras's steps that only shows other metrics may lack a loss to compute.
    """
    parts = [part for part in STEPS.get(name, (name,)) if overrides(model, part)]
    usual = Entry(name, Kind.STEP, shapes, method=name, tentative=parts == ["metrics"])
    yield usual
    if READING_BATCHES.isdisjoint(parts) or given_batch(model) is not None:
        return
    if name == "predict_step" or not _has_loss(model):
        yield replace(usual, name=f"{name} with targets", batch=Batch.TARGETS, tentative=True)
    else:
        yield replace(usual, name=f"{name} of inputs alone", batch=Batch.ALONE, tentative=True)


def _has_loss(model: keras.Model) -> bool:
    """Whether a loss is compiled; a model that is not compiled is run with one that stands in."""
    return not model.compiled or loss_in_force(model) is not None


def own_loops(model: keras.Model) -> list[str]:
    """Return the methods that run steps from Python and are the user's own."""
    set_on_it = [name for name in FUNCTIONS if is_users(getattr(model, name, None))]
    return [*(name for name in LOOPS if overrides(model, name)), *set_on_it]


def is_users(function: Any) -> bool:
    """Tell whether what Keras keeps for a loop, a function that TensorFlow may have traced, is the user's."""
    return function is not None and not is_library(getattr(function, "python_function", function))


def overrides(model: keras.Model, name: str) -> bool:
    """Whether a model has a member of its own in place of `keras.Model`'s."""
    return getattr(keras.Model, name, None) is not getattr(type(model), name, None) or name in vars(model)


def tells_plain_calls(model: keras.Model) -> bool:
    """Whether ``model(x)`` may be another program than ``predict``.

    That is where some layer may tell a missing ``training`` from ``False``: code of the user's, layers of
    Keras that train by default (random images), calls that fix it.
    """
    if not takes_training(model):
        return False
    return bool(called_in_training_mode(model)) or any(map(_tells, layers_within(model, itself=True)))


def _tells(layer: Any) -> bool:
    parameter = _parameters(layer).get("training")
    told = parameter is not None and (parameter.default is True or not is_keras(layer.call))
    return told or not is_keras(type(layer).__call__)


def _parameters(layer: Any) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(layer.call).parameters
    except (TypeError, ValueError):  # a call that cannot be read
        return {}


def _keywords(model: keras.Model, shapes: tuple[Any, ...]) -> Iterator[Entry]:
    """Yield an entry for each keyword of an own ``call`` that can be given another value than its default."""
    if is_keras(model.call):
        return
    for name, value in _given(model):
        shown = value if isinstance(value, Given) else repr(value)
        yield Entry(
            f"call with {name}={shown}", Kind.CALL, shapes, (False, True), ((name, value),), tentative=True
        )


def _given(model: keras.Model) -> Iterator[tuple[str, Any]]:
    """Yield keywords of ``call`` with values; of ``**kwargs`` the names that the user's code may look up."""
    for name, parameter in list(_parameters(model).items())[1:]:
        if parameter.kind is parameter.VAR_KEYWORD:
            values = (True, 2.0, *texts_in_code(model)[:MOST_OF_NONE])
            for one in names_in_code(model)[:MOST_OF_NONE]:
                yield from ((one, value) for value in values if value != one)
        elif name != "training":
            yield from ((name, value) for value in _values(model, name, parameter))


def _values(model: keras.Model, name: str, parameter: inspect.Parameter) -> list[Any]:
    """Return other values of a keyword than its default: such as the user's code may compare it with."""
    default = parameter.default
    if isinstance(default, bool):
        return [not default]
    if default is None and "mask" in name:
        return [Given.MASK]
    found: list[Any] = []
    if isinstance(default, Enum):
        found = list(type(default))
    elif isinstance(default, int | float):
        found = [default + 1, *_about_numbers(model), *lengths_in_code(model)]
    elif isinstance(default, str):
        found = texts_in_code(model)
    elif default is None:
        texts, choices, _ = compared_in_code(model)
        told = (texts, choices, _about_numbers(model))
        found = [Given.LIKE_INPUT, True, 2.0, *(value for values in told for value in values[:MOST_OF_NONE])]
    most = MOST_VALUES if default is not None else len(found)
    return [value for value in _once(found) if value != default][:most]


def _about_numbers(model: keras.Model) -> list[float]:
    """Return the numbers in the user's code, one above and one below, for what compares with less or more."""
    return [number + more for number in compared_in_code(model)[-1] for more in (0, 1, -1)]


def _once(values: list[Any]) -> list[Any]:
    """Return values without repetition; ``True`` is another than 1."""
    return list({(type(value), value): value for value in values}.values())


def _without_optional(specs: Any) -> Iterator[Entry]:
    """Yield entries without each optional input, and without them all."""
    flat = keras.tree.flatten(specs)
    places = [place for place, spec in enumerate(flat) if spec.optional]
    left_out = [*([place] for place in places), *([places] if len(places) > 1 else [])]
    for without in left_out:
        name = f"without input {', '.join(map(str, without))}"
        left = [None if place in without else spec for place, spec in enumerate(flat)]
        yield Entry(name, Kind.CALL, (keras.tree.pack_sequence_as(specs, left),), (False, True))


Size = Callable[[int, int, int], int]
"""From input, axis and count of the free axes so far to the size of a free axis."""


def _sized(model: keras.Model, specs: Any) -> Iterator[Entry]:
    """Yield entries with free axes settled, each at a size of its own where the model takes that.

    Code of the user's may branch on a length in Python: it is called at the numbers in it, and one above.
    """
    if not _is_free(specs):
        return
    both = (False, True) if own_layers(model) else (False,)
    first = _alternatives(specs, 64, 256)
    second = [*_alternatives(specs, 37, step=8), *_alternatives(specs, 160)]
    for name, alternatives in (("static sizes", first), ("other static sizes", second)):
        yield Entry(name, Kind.CALL, tuple(alternatives), both, tentative=True)
    lengths = lengths_in_code(model)[:MOST_LENGTHS] if own_layers(model) else []
    for size in sorted({*lengths, *(length + 1 for length in lengths)}):
        shapes = (settled(specs, lambda *_, size=size: size),)
        yield Entry(f"free axes of {size}", Kind.CALL, shapes, both, tentative=True)


def sizes(specs: Any, base: int, step: int) -> list[Any]:
    """Return the inputs with free axes settled: all unlike, then alike over inputs, then all alike."""
    plans: tuple[Size, ...] = (
        lambda _input, _axis, place: base + step * place,
        lambda _input, axis, _place: base + step * (axis - 1),
        lambda _input, _axis, _place: base,
    )
    every = [settled(specs, plan) for plan in plans]
    return [shapes for place, shapes in enumerate(every) if shapes not in every[:place]]


def settled(specs: Any, size: Size) -> Any:
    """Return the inputs with every free axis but the batch axis of the size that ``size`` tells."""
    places = count()
    flat = [
        replace(
            spec,
            shape=(
                spec.shape[0],
                *(
                    size(which, axis, next(places)) if length is None else length
                    for axis, length in enumerate(spec.shape[1:], 1)
                ),
            ),
        )
        for which, spec in enumerate(keras.tree.flatten(specs))
    ]
    return keras.tree.pack_sequence_as(specs, flat)


def can_be_kept(entry: Entry) -> bool:
    """Whether a file can hold what an entry is called with: a member of the user's enumerations it cannot."""
    return all(isinstance(value, Given) or not isinstance(value, Enum) for _, value in entry.arguments)


def covered(entry: Entry, shapes: Any) -> str:
    """Return an entry in words, with the shapes that it was called with where these settle free axes."""
    settles = len(entry.shapes) > 1 and not _is_free(shapes)
    return f"{entry.name} {show(shapes)}" if settles else entry.name
