"""Where one side comes from, and making fresh models of it."""

from __future__ import annotations

import functools
import os
import sys
import warnings
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import keras

from pytest_kerasequiv.building import locate
from pytest_kerasequiv.building.batches import Batch, hold_batch
from pytest_kerasequiv.building.compiling import compile_fresh, compile_settings
from pytest_kerasequiv.building.derive import derive
from pytest_kerasequiv.building.left_behind import settings_noted, told
from pytest_kerasequiv.building.makers import (
    FromFile,
    FromImport,
    FromRecording,
    Maker,
    is_model,
    maker_of,
    refuse_legacy,
)
from pytest_kerasequiv.building.specs import (
    Specs,
    build_from,
    compatible,
    flat_specs,
    input_specs,
    is_built,
    parts_without_call,
    show,
    single,
    tell_inputs,
    with_dtypes,
)
from pytest_kerasequiv.building.starts import Brought, noted_build
from pytest_kerasequiv.building.too_short import diagnose
from pytest_kerasequiv.errors import InputError, said
from pytest_kerasequiv.keras_access.random_state import global_seed, preserved_state, seeded
from pytest_kerasequiv.keras_access.zero_lengths import zero_lengths_refused
from pytest_kerasequiv.weights.adapted import Adapted, adapt_like, adapting_layers

Kind = Literal["builder", "model", "file", "recording"]

RECORDING = ".kerasequiv"
"""How the names of recordings end."""


class MissingShapeError(InputError):
    """The model is not built and nothing tells the shape of its input."""


@dataclass(frozen=True)
class Source:
    """One side of the twins: makes a fresh, built model on every call.

    Attributes:
        argument: ``"reference"`` or ``"candidate"``, for messages.
        label: how a reader knows it: the builder's name, the file, the model's name.
        kind: what the user gave.
        make: makes a new model.
        specs: inputs to build an unbuilt model for.
        compile: arguments of ``Model.compile``; ``None`` keeps the compile settings the model comes with.
        example: what the user's own inputs tell of dtypes that nothing else tells.
        learned: what preprocessing layers of the other side have learned by ``adapt``, and the numbers of the
            layers that take it on.
        batch: a batch for the model's own training step.
        brought: what its models share, made outside the builder.
    """

    argument: str
    label: str
    kind: Kind
    make: Maker
    specs: Specs | None = None
    compile: Mapping[str, Any] | None = None
    example: Specs | None = None
    learned: tuple[tuple[int, Adapted], ...] = ()
    batch: Batch | None = None
    brought: Brought = field(default_factory=Brought, compare=False, repr=False)

    def build(self, seed: int | None = None) -> keras.Model:
        """Return a fresh model, built, and compiled where ``compile`` was given or the source compiles.

        A model instance is made again from its config with fresh weights; a file is loaded with its weights.

        Args:
            seed: builds under this seed and leaves the caller's random state as it was; ``None`` builds under
                the caller's random state, as the user's own ``set_random_seed(s); model = build()`` does.

        Raises:
            InputError: the source cannot make such a model.
        """
        if seed is not None:
            return self._build(seed, as_given=False)
        before = global_seed()
        model = self._build(None, as_given=False)
        if global_seed() not in {before, None}:
            raise InputError(
                f"{self.argument} {self.label!r} sets the random seed itself while it builds, so runs with "
                "other seeds would all train the same model; take set_random_seed out of the builder"
            )
        return model

    def build_as_given(self, seed: int) -> keras.Model:
        """Return a fresh model under ``seed`` as `build` does; a given model keeps its weights.

        Of a model that a builder makes, `starts_of` then tells how its variables got their values.
        """
        return self._build(seed, as_given=True)

    def labelled(self, place: str | None) -> Source:
        """Return the source with a label that tells where it is written, where that is known."""
        return self if place is None else replace(self, label=f"{self.label} ({place})")

    @property
    def is_builder(self) -> bool:
        """Whether each build draws new values; an import string may also name a model."""
        if isinstance(self.make, Derived):
            return self.make.base.is_builder
        named_model = isinstance(self.make, FromImport) and self.make.names_model()
        return self.kind == "builder" and not named_model

    def built_as_given(self, seed: int) -> tuple[Source, keras.Model]:
        """Return `build_as_given`, and the source with the structure of inputs that its models take.

        A list, tuple or dict of one input tells how another model takes it: where it cannot be built for
        that structure, it is made again for the bare tensor.
        """
        __tracebackhide__ = True
        alone = None if self.specs is None else single(self.specs)
        if alone is None or alone is self.specs:
            return self, self.build_as_given(seed)
        try:
            with warnings.catch_warnings(action="ignore"):  # Keras warns of what the failed build left
                return self, self.build_as_given(seed)
        except InputError as refused:
            bare = self.with_specs(alone)
            try:
                return bare, bare.build_as_given(seed)
            except InputError:
                raise refused from refused.__cause__

    def with_specs(self, specs: Specs) -> Source:
        """Return the same source with the inputs to build for."""
        return replace(self, specs=specs)

    def _build(self, seed: int | None, *, as_given: bool) -> keras.Model:
        __tracebackhide__ = True
        if seed is not None:
            with seeded(seed):
                return self._build(None, as_given=as_given)
        named = f"{self.argument} {self.label!r}"
        with noted_build(self.brought, named) as keep_start, settings_noted() as keep_settings:
            with told(named) if as_given else nullcontext():  # once, not for each run of a training
                model = self._built(as_given=as_given)
            for number, learned in self.learned:
                adapt_like(adapting_layers(model)[number], learned)
            if self.is_builder:
                keep_start(model)
                keep_settings(model)
        if self.compile is not None:
            compile_fresh(model, self.compile)
        hold_batch(model, self.batch)
        return model

    def _built(self, *, as_given: bool) -> keras.Model:
        __tracebackhide__ = True
        try:
            with zero_lengths_refused():
                model = self._make_and_build(as_given=as_given)
        except InputError:
            raise
        except Exception as error:
            too_short = diagnose(lambda: self._make_and_build(as_given=as_given))
            if too_short is not None:
                message = too_short.message(f"{self.argument} {self.label!r}")
                raise InputError(message) from None  # Keras's own trace says less
            raise InputError(self._refused(error)) from error
        _check_specs(model, self)
        return model

    def _make_and_build(self, *, as_given: bool) -> keras.Model:
        __tracebackhide__ = True
        model = self.make(as_given=as_given)
        parts = parts_without_call(model)
        if parts is not None:
            raise self._without_call(model, parts)
        if not is_built(model):
            specs = self.specs if self.specs is not None else input_specs(model)
            if specs is not None:
                build_from(model, with_dtypes(specs, self.example))
            elif not model.built:
                raise self.missing_shape()
        tell_inputs(model, self.example)
        return model

    def _without_call(self, model: keras.Model, parts: list[str]) -> InputError:
        first = parts[0] if parts else "part"
        named = f" It holds {', '.join(parts)}: compare" if parts else " Compare"
        return InputError(
            f"{self.argument} {self.label!r} makes a {type(model).__name__} without call(), which computes "
            f"nothing by itself.{named} the parts, with a builder for each (lambda: build().{first}), or "
            "write call()"
        )

    def missing_shape(self) -> MissingShapeError:
        """Return the error for a model that is not built where nothing tells the shape of its input."""
        return MissingShapeError(
            f"{self.argument} {self.label!r} makes a model that is not built, and nothing tells the shape of "
            "its input; pass input_shape=(...) without the batch axis, or begin the model with keras.Input"
        )

    def _refused(self, error: Exception) -> str:
        known = self.specs is not None
        shape, remedy = (
            (f" for input_shape={show(self.specs)}", ", or pass another input_shape") if known else ("", "")
        )
        return (
            f"{self.argument} {self.label!r} cannot be built{shape}: it raised {type(error).__name__}: "
            f"{said(error)} (its trace is above; mend it there{remedy})"
        )


def _check_specs(model: keras.Model, source: Source) -> None:
    own = input_specs(model)
    if own is None or source.specs is None:
        return
    pairs = list(zip(flat_specs(own), flat_specs(source.specs), strict=False))
    if len(flat_specs(own)) != len(flat_specs(source.specs)) or not all(
        compatible(a.shape, b.shape) for a, b in pairs
    ):
        raise InputError(
            f"input_shape asks for {show(source.specs)}, but {source.argument} {source.label!r} takes "
            f"{show(own)}; leave input_shape away, or give the model's shape without the batch axis"
        )


@dataclass(frozen=True)
class Derived:
    """Turns each fresh model of the reference into its other-API twin."""

    base: Source

    def __call__(self, *, as_given: bool) -> keras.Model:
        """Return the twin, with the weights, seeds and compile settings of the reference."""
        model = self.base._build(None, as_given=as_given)
        with preserved_state():  # so that the random state afterwards is the reference's
            twin = derive(model)
            settings = compile_settings(model)
            if settings is not None:
                compile_fresh(twin, settings, like=model)
        return twin


def source_of(given: Any, argument: str, *, compile: Mapping[str, Any] | None) -> Source:  # noqa: A002
    """Read one side of ``Twins(reference, candidate)``.

    Raises:
        InputError: it is no builder, model, file or import string.
    """
    __tracebackhide__ = True
    if isinstance(given, str | os.PathLike):
        return _named(given, argument, compile)
    refuse_legacy(given, argument)
    if not callable(given) or _is_plain_layer(given):
        raise InputError(
            f"{argument}={given!r} is no builder (a function that returns a model), keras.Model, path to a "
            ".keras or .h5 file, or 'package.module:builder'"
        )
    label = given.name if is_model(given) else _name_of(given)
    return Source(
        argument,
        label,
        "model" if is_model(given) else "builder",
        maker_of(given, argument, label),
        compile=compile,
    )


def _is_plain_layer(value: Any) -> bool:
    """Whether ``value`` is a layer but no model: it can be called, but returns no model."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.Layer) and not isinstance(value, keras.Model)


def _named(given: str | os.PathLike[str], argument: str, compile: Mapping[str, Any] | None) -> Source:  # noqa: A002
    __tracebackhide__ = True
    if isinstance(given, str) and locate.is_import_string(given):
        return Source(argument, given, "builder", FromImport(given, argument), compile=compile)
    path = Path(given)
    if path.suffix == RECORDING:
        return _recording(path, argument)
    locate.check_path(path, argument)
    return Source(argument, str(path), "file", FromFile(path, argument), compile=compile)


def _recording(path: Path, argument: str) -> Source:
    __tracebackhide__ = True
    if argument != "reference":
        raise InputError(
            f"{argument}={str(path)!r} is a recording, which can only be the reference; pass the recording "
            "first, and the builder of the other model second"
        )
    return Source(argument, str(path), "recording", FromRecording(path))


def derived_source(base: Source) -> Source:
    """Return the source of the other-API twin of ``base``."""
    return Source(
        "candidate",
        f"{base.label} in the other API",
        base.kind,
        Derived(base),
        compile=base.compile,
        batch=base.batch,
    )


def place_of(builder: Any) -> str | None:
    """Return file and line of a function, for readers of two that have one name; ``None`` where unknown."""
    function = builder.func if isinstance(builder, functools.partial) else builder
    code = getattr(function, "__code__", None)
    return None if code is None else f"{Path(code.co_filename).name}:{code.co_firstlineno}"


def _name_of(builder: Any) -> str:
    if isinstance(builder, functools.partial):
        given = [*map(repr, builder.args), *(f"{name}={value!r}" for name, value in builder.keywords.items())]
        return f"{_name_of(builder.func)}({', '.join(given):.40})"
    name = getattr(builder, "__qualname__", type(builder).__name__)
    return str(name).rsplit("<locals>.", 1)[-1]
