"""The pair: a reference and a candidate."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal

import keras

from pytest_kerasequiv import arguments
from pytest_kerasequiv.building.batches import check_batch
from pytest_kerasequiv.building.compiling import check_compile
from pytest_kerasequiv.building.functions import Function, function_of
from pytest_kerasequiv.building.makers import FromFile, FromModel, FromRecording
from pytest_kerasequiv.building.pairing import adapted_alike, check_pair
from pytest_kerasequiv.building.sources import MissingShapeError, Source, derived_source, place_of, source_of
from pytest_kerasequiv.building.specs import Specs, input_specs, parse_input_shape, specs_of_example
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.exclusive import EXCLUSIVE
from pytest_kerasequiv.weight_map import WeightMap

COPY_WEIGHTS = "pytest_kerasequiv.checks.copying:copy_weights"
"""What copies weights: a room above maps variables, so it is named here and imported when it is used."""

BUILD_SEED = 0
"""The seed under which both sides are built to be looked at."""

OTHER_SEED = 1
"""The seed of a second build, where only that tells which values are drawn."""

Side = tuple[Source, keras.Model]
"""What makes fresh models of a side, and the one that was built."""


class Twins:
    """Two models to compare, built when they are first needed.

    Args:
        reference: a zero-argument builder, a ``keras.Model``, a path to a ``.keras`` or ``.h5`` file, or
            ``"package.module:builder"``. A model instance is compared through a copy with its weights. A path
            to a ``.kerasequiv`` file is a recording, see `record`: what was observed of a model earlier.
        candidate: the same, or a function of inputs, see `Function`, of which the outputs are compared;
            ``None`` derives the other-API twin of the reference: functional from a
            Sequential, Sequential from a functional model that is one chain of layers.
        input_shape: shape of one input without the batch axis, or a list or dict of shapes; needed only where
            neither side knows its shape. A dtype may go beside a shape, ``((60,), "int32")``, and a
            ``keras.Input`` has both.
        compile: arguments for ``Model.compile``, applied to both sides with fresh optimizers, losses and
            metrics.
        weights: ``"copy"`` carries the reference's weights to the candidate, ``"own"`` compares both with the
            weights they came with, ``"auto"`` is ``"own"`` where a file is involved and no builder is, else
            ``"copy"``.
        batch: what the models' own ``train_step`` takes where it is no ``(x, y)`` of the model's inputs and
            targets like its outputs, such as ``{"image": x, "target": y}``; or a function without arguments
            that returns it, called once. Every step of ``updates`` is made with it.
        backend: the backend of Keras that the candidate runs on, ``"jax"`` or ``"torch"``, in a process of
            its own; the reference runs on TensorFlow. Without a candidate, the reference is compared with
            itself there. ``"tensorflow"`` is as if it was left away.
        name: name of the pair in reports.

    Attributes:
        weights: ``"copy"`` or ``"own"``.
        backend: the other backend that the candidate runs on; ``None`` for none.
        name: name of the pair in reports.
        derived: the candidate is derived from the reference.
        function: the candidate where it is a function of inputs; ``None`` where it is a model.
        given: the candidate as it was given, and the settings of both sides.
        constants_decide: values that a builder sets belong to its model although weights are carried;
            ``weights="copy"`` said outright makes them a note.

    Raises:
        InputError: an argument cannot be used. What only building can tell is raised when a model is first
            needed.
    """

    def __init__(
        self,
        reference: Any,
        candidate: Any = None,
        *,
        input_shape: Any = None,
        compile: Any = None,  # noqa: A002 - named after Model.compile
        weights: Literal["auto", "copy", "own"] = "auto",
        batch: Any = None,
        backend: Literal["tensorflow", "jax", "torch"] | None = None,
        name: str | None = None,
    ) -> None:
        __tracebackhide__ = True
        self.backend = arguments.backend(backend)
        if self.backend is not None and candidate is None:
            candidate = reference
        self.given = candidate, {"input_shape": input_shape, "compile": compile, "batch": batch}
        self._batch = check_batch(batch)
        settings = check_compile(compile)
        self._specs = parse_input_shape(input_shape)
        self._example: Specs | None = None
        self._recorded: Specs | None = None
        self._given_reference = source_of(reference, "reference", compile=settings)
        self.function = function_of(candidate)
        self._given_candidate = self._source_of_candidate(candidate, settings)
        self.derived = candidate is None
        self._refuse_combinations()
        if self.backend is not None:
            self._given_candidate = self._elsewhere(self.backend)
        elif self.function is None:
            _refuse_same(self._given_reference, self._given_candidate)
        self.weights = _weights(weights, {self._given_reference.kind, self._given_candidate.kind})
        if self.function is not None:
            self.weights = _weights_of_function(weights)
        self.constants_decide = weights == "auto"
        self.name = arguments.name(name) if name is not None else self._default_name()
        places = place_of(reference), place_of(candidate)
        if self.reference_label == self.candidate_label and places[0] != places[1]:
            self._given_reference = self._given_reference.labelled(places[0])
            self._given_candidate = self._given_candidate.labelled(places[1])

    def _source_of_candidate(self, candidate: Any, settings: dict[str, Any] | None) -> Source:
        __tracebackhide__ = True
        if candidate is None:
            return derived_source(self._given_reference)
        if self.function is not None:
            return self._known_as(self.function)
        return source_of(candidate, "candidate", compile=settings)

    def _refuse_combinations(self) -> None:
        __tracebackhide__ = True
        if self.derived and self.recording is not None:
            raise InputError(
                f"reference {self.reference_label!r} is a recording, of which no candidate can be derived; "
                "pass the builder of the other model as candidate"
            )
        if self.backend is not None and self.function is not None:
            raise InputError(
                f"backend={self.backend!r} goes with a model, and candidate {self.candidate_label!r} is a "
                "function of inputs; leave backend away"
            )

    def __repr__(self) -> str:
        return f"Twins({self.reference_label!r}, {self.candidate_label!r}, name={self.name!r})"

    def tell_inputs(self, inputs: Any) -> None:
        """Take from the user's own inputs what nothing else tells of shapes and dtypes of the inputs."""
        self._example = specs_of_example(inputs)

    def tell_specs(self, specs: Specs | None) -> None:
        """Take from what was observed elsewhere what inputs a model took, for one that does not tell."""
        self._recorded = specs

    def know_reference_as(self, label: str) -> None:
        """Let a reader know the reference by another name than its recording's."""
        self._given_reference = replace(self._given_reference, label=label)

    @property
    def recording(self) -> Path | None:
        """The recording that is the reference; ``None`` where that is a model."""
        make = self._given_reference.make
        return make.path if isinstance(make, FromRecording) else None

    @property
    def reference_label(self) -> str:
        """How a reader knows the reference."""
        return self._given_reference.label

    @property
    def candidate_label(self) -> str:
        """How a reader knows the candidate."""
        return self._given_candidate.label

    @property
    def reference(self) -> keras.Model:
        """The reference, built once: before the candidate, unless only that tells the shape."""
        with EXCLUSIVE:
            return self._reference_side[1]

    @property
    def candidate(self) -> keras.Model:
        """The candidate, built once, under the same seed.

        Raises:
            InputError: it runs on another backend, in another process, or is a function of inputs.
        """
        if self.backend is not None:
            raise InputError(
                f"candidate {self.candidate_label!r} runs in another process, where Keras has that backend, "
                "so there is no model of it here; look at the reference, or at the report"
            )
        if self.function is not None:
            raise InputError(
                f"candidate {self.candidate_label!r} is a function of inputs, so there is no model of it; "
                "look at the reference, or at the report"
            )
        with EXCLUSIVE:
            return self._sides[1][1]

    @property
    def reference_source(self) -> Source:
        """Makes fresh references; knows the input shape."""
        with EXCLUSIVE:
            return self._sides[0][0]

    @property
    def candidate_source(self) -> Source:
        """Makes fresh candidates; knows the input shape."""
        with EXCLUSIVE:
            return self._sides[1][0]

    def copy_weights(self) -> WeightMap:
        """Give the built candidate the weights of the built reference, and return which went where.

        Unlike ``candidate.set_weights(reference.get_weights())`` it does not go by order: the weights are
        mapped by what the models compute. Optimizers and states of random generators are left as they are.

        Raises:
            InputError: a weight has no partner, or which is which is not certain; nothing is copied then.
        """
        __tracebackhide__ = True
        found: WeightMap = resolve_name(COPY_WEIGHTS)(self)
        return found

    def release(self) -> None:
        """Let go of the built models; they are built again when they are next needed."""
        for name in ("_sides", "_reference_side", "_candidate_side", "_reference_alone", "_candidate_alone"):
            self.__dict__.pop(name, None)

    @property
    def input_specs(self) -> Specs | None:
        """Shapes and dtypes of the inputs (`Spec`, or a list or dict); ``None`` where neither side tells."""
        own = input_specs(self.reference)
        return own if own is not None else input_specs(self.candidate)

    @cached_property
    def _sides(self) -> tuple[Side, Side]:
        """Build both sides and check that they can be compared."""
        __tracebackhide__ = True
        if self.recording is not None:
            return (self._given_reference, self._candidate_side[1]), self._candidate_side
        if self.backend is not None or self.function is not None:
            return self._reference_side, self._reference_side
        reference, candidate = self._reference_side, self._candidate_side
        sources, models = zip(reference, candidate, strict=True)
        check_pair(models, sources)
        own = self.constants_decide and all(source.is_builder for source in sources)
        if self.weights == "copy" and not own:
            sources = adapted_alike(models, sources)
        return (sources[0], models[0]), (sources[1], models[1])

    @cached_property
    def _reference_side(self) -> Side:
        __tracebackhide__ = True
        source, model = self._reference_alone
        if model is not None:
            return source, model
        if self.derived or self.backend is not None or self.function is not None:
            told = self._recorded if self._example is None else self._example
            if told is None:
                raise source.missing_shape()
            return source.with_specs(told).built_as_given(BUILD_SEED)
        theirs, other = self._candidate_alone
        if other is not None:
            return _learned(source, other)
        if self._example is None:
            raise _missing_shapes(source, theirs)
        return source.with_specs(self._example).built_as_given(BUILD_SEED)

    @cached_property
    def _candidate_side(self) -> Side:
        __tracebackhide__ = True
        source, model = self._candidate_alone
        if model is not None:
            return source, model
        if self.recording is None:
            return _learned(source, self._reference_side[1])
        if self._recorded is None:
            raise source.missing_shape()
        return source.with_specs(self._recorded).built_as_given(BUILD_SEED)

    @cached_property
    def _reference_alone(self) -> tuple[Source, keras.Model | None]:
        """The reference with what it knows of its shape itself; ``None`` where that is not enough."""
        __tracebackhide__ = True
        return _built_or_none(self._with_shape(self._given_reference))

    @cached_property
    def _candidate_alone(self) -> tuple[Source, keras.Model | None]:
        __tracebackhide__ = True
        if self.derived:
            return _built_or_none(derived_source(self._reference_side[0]))
        return _built_or_none(self._with_shape(self._given_candidate))

    def _with_shape(self, source: Source) -> Source:
        return replace(source, specs=self._specs, example=self._example, batch=self._batch)

    def _elsewhere(self, backend: str) -> Source:
        """Return the candidate as a reader knows it; it is never built here.

        Raises:
            InputError: the reference is a recording, whose model is on neither backend.
        """
        if self.recording is not None:
            raise InputError(
                f"backend={backend!r} needs a reference that runs on TensorFlow here, and "
                f"{self.reference_label!r} is a recording; pass the builder it was made of"
            )
        return replace(self._given_candidate, label=f"{self.candidate_label} on {backend}")

    def _known_as(self, function: Function) -> Source:
        """Return the candidate as a reader knows it; it is never built.

        Raises:
            InputError: the reference is a recording, whose float64 result cannot be asked for these inputs.
        """
        if self.recording is not None:
            raise InputError(
                f"candidate {function.label!r} is a function of inputs, which is compared with a live "
                f"reference, and {self.reference_label!r} is a recording; pass the model that it was made of"
            )
        return replace(self._given_reference, argument="candidate", label=function.label)

    def _default_name(self) -> str:
        if self.derived:
            return self.reference_label
        if self.backend is not None and self.candidate_label == f"{self.reference_label} on {self.backend}":
            return f"{self.reference_label}-on-{self.backend}"
        names = [Path(label).name for label in (self.reference_label, self.candidate_label)]
        told = names if names[0] != names[1] else [self.reference_label, self.candidate_label]
        return "-vs-".join(told)


class OneSide(Twins):
    """A reference alone, to be observed; arguments and exceptions are those of `Twins`."""

    def __init__(self, reference: Any, **options: Any) -> None:
        __tracebackhide__ = True
        super().__init__(reference, **options)
        self.name = self.reference_label

    @cached_property
    def _sides(self) -> tuple[Side, Side]:
        return self._reference_side, self._reference_side


def _built_or_none(source: Source) -> tuple[Source, keras.Model | None]:
    """Build one side; ``None`` where it does not know its input shape."""
    __tracebackhide__ = True
    try:
        return source.built_as_given(BUILD_SEED)
    except MissingShapeError:
        return source, None


def _missing_shapes(reference: Source, candidate: Source) -> InputError:
    return MissingShapeError(
        f"reference {reference.label!r} and candidate {candidate.label!r} both make models that are not "
        "built, so nothing tells the shape of their input; pass input_shape=(...) without the batch axis or "
        "inputs=, or begin one of them with keras.Input"
    )


def _learned(source: Source, other: keras.Model) -> Side:
    """Build a side that takes its input shape from the other."""
    __tracebackhide__ = True
    specs = input_specs(other)
    return (source if specs is None else source.with_specs(specs)).built_as_given(BUILD_SEED)


def _weights(asked: str, kinds: set[str]) -> Literal["copy", "own"]:
    __tracebackhide__ = True
    arguments.weights(asked)
    if asked == "auto":
        return "own" if "file" in kinds and "builder" not in kinds else "copy"
    return "own" if asked == "own" else "copy"


def _weights_of_function(asked: str) -> Literal["own"]:
    if asked == "copy":
        raise InputError(
            "weights='copy' cannot be used with a function of inputs, which has weights of its own; leave "
            "weights away"
        )
    return "own"


def _refuse_same(reference: Source, candidate: Source) -> None:
    __tracebackhide__ = True
    if isinstance(reference.make, FromModel | FromFile) and reference.make.same_as(candidate.make):
        raise InputError(
            f"reference and candidate are the same {reference.kind} {reference.label!r}; comparing a model "
            "with itself proves nothing, so pass the other model, or candidate=None for its other-API twin"
        )
