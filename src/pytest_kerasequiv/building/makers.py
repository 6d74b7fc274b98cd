"""Making a model from what the user gave: a builder, a model, a file or an import string."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import keras

from pytest_kerasequiv.building import locate
from pytest_kerasequiv.building.compiling import compile_fresh, compile_settings
from pytest_kerasequiv.building.rebuild import rebuild
from pytest_kerasequiv.errors import InputError


class Maker(Protocol):
    """Makes a new model each time; ``as_given`` asks for the weights that a given model came with."""

    def __call__(self, *, as_given: bool) -> keras.Model:
        """Return a new model, perhaps not built yet."""


@dataclass(frozen=True)
class FromBuilder:
    """Calls the user's builder."""

    builder: Callable[[], Any]
    argument: str
    label: str

    def __call__(self, *, as_given: bool) -> keras.Model:  # noqa: ARG002 - each build is as given
        """Return the model that the builder returns."""
        __tracebackhide__ = True
        self._refuse_arguments()
        model = self.builder()
        refuse_legacy(model, self.argument)
        if not isinstance(model, keras.Model):
            raise InputError(
                f"{self.argument} builder {self.label!r} returned {_kind_of(model)}, not a keras.Model; "
                "a builder makes a new model and returns it"
            )
        _refuse_used(model, self.argument, self.label)
        return model

    def _refuse_arguments(self) -> None:
        try:
            parameters = inspect.signature(self.builder).parameters.values()
        except (TypeError, ValueError):
            return
        needed = [
            p.name
            for p in parameters
            if p.default is p.empty and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
        ]
        if needed:
            filled = ", ".join(f"{name}=..." for name in needed)
            raise InputError(
                f"{self.argument} builder {self.label!r} needs arguments ({', '.join(needed)}); a builder is "
                f"called without any, so pass functools.partial({self.label}, {filled}) or give them defaults"
            )


def refuse_legacy(value: Any, argument: str) -> None:
    """Refuse a model of Keras 2, which other code runs than Keras 3's.

    Raises:
        InputError: it is one.
    """
    homes = {base.__module__.split(".")[0] for base in type(value).__mro__}
    if "tf_keras" in homes:
        raise InputError(
            f"{argument} is a model of tf_keras, that is of Keras 2 ({type(value).__name__}); only models of "
            "Keras 3 are compared. Unset TF_USE_LEGACY_KERAS, or save it as .h5 and pass that file"
        )


def _kind_of(value: Any) -> str:
    if value is None:
        return "None (is its return statement missing?)"
    return f"{value!r:.60} of type {type(value).__name__}"


def _refuse_used(model: keras.Model, argument: str, label: str) -> None:
    """Refuse a model that an earlier call returned: every seed would go on training the same weights."""
    if getattr(model, "_kerasequiv_built", False):
        raise InputError(
            f"{argument} builder {label!r} returned a model that it had returned before; a builder must make "
            "a new model on each call, so create the layers inside it"
        )
    model._kerasequiv_built = True


@dataclass(frozen=True)
class FromModel:
    """Makes a given model again from its config."""

    model: keras.Model

    def same_as(self, other: Maker) -> bool:
        """Whether ``other`` makes copies of the same model."""
        return isinstance(other, FromModel) and other.model is self.model

    def __call__(self, *, as_given: bool) -> keras.Model:
        """Return a copy with the weights as given, or with fresh ones."""
        return rebuild(self.model, with_weights=as_given)


@dataclass(frozen=True)
class FromFile:
    """Loads a model file."""

    path: Path
    argument: str

    def same_as(self, other: Maker) -> bool:
        """Whether ``other`` loads the same file."""
        return isinstance(other, FromFile) and other.path.resolve() == self.path.resolve()

    def __call__(self, *, as_given: bool) -> keras.Model:  # noqa: ARG002 - a file's weights are its own
        """Return the loaded model, compiled with a fresh optimizer where it was saved compiled."""
        model = locate.load(self.path, self.argument)
        settings = compile_settings(model)
        if settings is not None:
            compile_fresh(model, settings)
        return model


@dataclass(frozen=True)
class FromRecording:
    """Stands for what was observed of a model earlier; there is no model to make."""

    path: Path

    def __call__(self, *, as_given: bool) -> keras.Model:  # noqa: ARG002 - there is none
        """Refuse.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"reference {str(self.path)!r} is a recording: it holds what a model was observed to be and do, "
            "not the model; pass the builder itself where a live model is needed"
        )


@dataclass(frozen=True)
class FromImport:
    """Imports a builder or a model when it is first needed."""

    text: str
    argument: str

    def names_model(self) -> bool:
        """Whether the import string names a model, not a builder."""
        return is_model(locate.resolve(self.text, self.argument))

    def __call__(self, *, as_given: bool) -> keras.Model:
        """Return a model from what the import string names."""
        __tracebackhide__ = True
        found = locate.resolve(self.text, self.argument)
        if not callable(found):
            raise InputError(
                f"{self.argument}={self.text!r} names {_kind_of(found)}, neither a builder nor a model"
            )
        return maker_of(found, self.argument, self.text)(as_given=as_given)


def maker_of(given: Any, argument: str, label: str) -> Maker:
    """Return the maker of a given model or builder."""
    return FromModel(given) if is_model(given) else FromBuilder(given, argument, label)


def is_model(value: Any) -> bool:
    """Whether ``value`` is a model, without importing Keras: if it is one, Keras is there already."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(value, keras.Model)
