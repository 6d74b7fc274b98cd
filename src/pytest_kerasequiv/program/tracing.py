"""Tracing a model: every entry of its surface, each as one function."""

from __future__ import annotations

import gc
import random
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pytest_kerasequiv.building.left_behind import as_left
from pytest_kerasequiv.building.specs import Spec
from pytest_kerasequiv.keras_access.layers import collected_losses
from pytest_kerasequiv.keras_access.random_state import preserved_state
from pytest_kerasequiv.program.assembling import Assembly, Traced
from pytest_kerasequiv.program.kept_calls import keep_calls
from pytest_kerasequiv.program.logits import kept_lasts
from pytest_kerasequiv.program.nodes import Program, Unprovable
from pytest_kerasequiv.program.own_steps import trace_own_step
from pytest_kerasequiv.program.python_state import (
    Name,
    State,
    changing_layers,
    in_words,
    state_in_python,
    without,
)
from pytest_kerasequiv.program.traced_calls import Outputs, trace_calls, trace_inference
from pytest_kerasequiv.program.training_step import trace_loss_and_metrics, trace_training
from pytest_kerasequiv.program.unseen import own_code_of
from pytest_kerasequiv.surface.entries import Entry, Kind, covered, entries_of, own_loops
from pytest_kerasequiv.surface.lengths import asking_how_they_run


def trace(model: keras.Model) -> Program:
    """Trace what a built model computes, in every entry of `pytest_kerasequiv.surface.entries`.

    The model is left as it was: nothing is executed, its weights, seed states, metrics, optimizer and
    collected losses are untouched, and so is the random state of the caller. Python code in a layer's
    ``call`` runs once for each entry.

    Never raises for a model that cannot be traced: ``Program.reason`` then says why, and no proof rests on
    it.
    """
    with _garbage_kept():
        return _traced(model)


def _traced(model: keras.Model) -> Program:
    assembly = Assembly(model)
    with preserved_state(), as_left(model), collected_losses(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Keras warns of, it told when the model was built and called
        _scatter_python_randomness()
        tracing = _Tracing(assembly)
        tracing.run()
    program = assembly.program()
    tracing.keep(steady=program.reason is None and not program.random)
    return program


class _Tracing:
    """The entries of one model, traced in turn; the first that cannot be says why nothing is proved."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._model = assembly.model
        self._outputs: Outputs | None = None
        self._traced: dict[Kind, Traced] = {}
        self._before: State = {}

    def run(self) -> None:
        if keras.config.backend() != "tensorflow":
            backend = keras.config.backend()
            self._assembly.refuse(f"Keras runs on {backend}; only TensorFlow's programs are traced")
            return
        for entry in entries_of(self._model):
            self._take(entry)
            if self._outputs is None:
                return  # without inference nothing else is known
        for layer in asking_how_they_run(self._model):
            self._blame(
                layer, f"{type(layer).__name__} asks whether it runs eagerly, which no trace shows", []
            )
        for name in own_loops(self._model):
            kind = type(self._model).__name__
            self._assembly.refuse(f"{kind}.{name} is overridden, and what it does is not traced")

    def _refuse_changing(self, again: Callable[[], Any]) -> None:
        """Refuse where each trace of an entry leaves code of the user's otherwise than the one before."""
        for layer, names in changing_layers(self._model, self._before, again):
            self._blame(layer, in_words(layer, names[0]), names)

    def _blame(self, layer: Any, why: str, names: list[Name]) -> None:
        """Refuse for what code of a layer does that no trace shows; ``names`` say no more than how often."""
        self._assembly.refuse(why)
        every = list(own_code_of(self._model, Kind.INFERENCE))
        own = [one for one in every if one.name == type(layer).__name__] or every
        self._assembly.lack(replace(one, code=without(one.code, names)) for one in own)

    def keep(self, *, steady: bool) -> None:
        """Keep what was traced with the model, where another trace of it would give the same results."""
        found = self._traced if steady else {}
        keep_calls(self._model, self._outputs, found.get(Kind.INFERENCE), found.get(Kind.TRAINING))

    def _take(self, entry: Entry) -> None:
        """Trace one entry at the first shapes that the model takes."""
        self._before = state_in_python(self._model)
        for place, shapes in enumerate(entry.shapes):
            try:
                function = self._trace(entry, shapes)
                if entry.kind is not Kind.STEP:
                    self._refuse_changing(partial(self._trace, entry, shapes))
                self._assembly.take(entry.name, function, covered(entry, shapes))
                self._traced.setdefault(entry.kind, function)
            except Unprovable as obstacle:
                self._refuse(entry, str(obstacle), obstacle.op)
            except Exception as error:  # whatever a layer raises while being traced is the reason
                if place + 1 < len(entry.shapes):
                    continue
                if not entry.tentative:
                    told = f"{type(error).__name__}: {error}"
                    self._refuse(entry, f"{self._subject(entry)} could not be traced: {told}")
            return

    def _refuse(self, entry: Entry, why: str, op: str = "") -> None:
        self._assembly.refuse(why, op)
        shown = entry.kind is Kind.COMPILED  # losses and metrics are compared by themselves
        self._assembly.lack([] if shown else own_code_of(self._model, entry.kind))

    def _subject(self, entry: Entry) -> str:
        if entry.kind is Kind.STEP:
            return f"{type(self._model).__name__}.{entry.method}"
        return "it" if entry.kind in {Kind.INFERENCE, Kind.TRAINING} else f"its {entry.name}"

    def _trace(self, entry: Entry, shapes: Any) -> Traced:
        if shapes is None:
            raise Unprovable("the shapes and dtypes of its inputs are not known")
        signature = keras.tree.map_structure(_tensor_spec, shapes)
        if self._outputs is None:
            function, self._outputs = trace_inference(self._model, signature)
            return function
        if entry.kind is Kind.TRAINING:
            return trace_training(self._assembly, signature, self._outputs)
        if entry.kind is Kind.STEP:
            given = self._model, entry, signature, self._outputs
            return trace_own_step(*given, self._refuse_changing)
        return _trace_further(self._model, entry, signature, self._outputs)


def trace_entry(model: keras.Model, entry: Entry, shapes: Any) -> Traced:
    """Trace one entry but training alone, to be run.

    Args:
        model: a built model.
        entry: the entry.
        shapes: one of its shapes, or a like structure with settled axes.

    Raises:
        Exception: whatever the model raises where it cannot be called so.
    """
    signature = keras.tree.map_structure(_tensor_spec, shapes)
    if entry.kind is Kind.CALL:
        return trace_calls(model, entry, signature)
    function, outputs = trace_inference(model, signature)
    return function if entry.kind is Kind.INFERENCE else _trace_further(model, entry, signature, outputs)


def lasts_of(model: keras.Model, count: int) -> tuple[str, ...]:
    """Return what makes each output of a model, see `logits.last_operation`; traces it where it must.

    Args:
        model: a built model.
        count: how many outputs it has.
    """
    inference, *_ = entries_of(model)
    for shapes in inference.shapes if kept_lasts(model) is None else ():
        try:
            with preserved_state(), as_left(model), collected_losses(model):
                trace_entry(model, inference, shapes)
            break
        except Exception:  # what is not traced is taken for no activation
            continue
    found = kept_lasts(model) or ()
    return found if len(found) == count else ("",) * count


def _trace_further(model: keras.Model, entry: Entry, signature: Any, outputs: Outputs) -> Traced:
    if entry.kind is Kind.COMPILED:
        return trace_loss_and_metrics(model, outputs)
    if entry.kind is Kind.STEP:
        return trace_own_step(model, entry, signature, outputs)
    return trace_calls(model, entry, signature)


def _tensor_spec(spec: Spec | None) -> Any:
    return None if spec is None else tf.TensorSpec(spec.shape, spec.dtype or keras.config.floatx())


@contextmanager
def _garbage_kept() -> Iterator[None]:
    """Do not search for garbage meanwhile: a trace makes hundreds of thousands of objects that stay."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _scatter_python_randomness() -> None:
    """Let each trace draw other numbers from Python and NumPy.

    What a layer draws from them while it is traced becomes a constant; such a layer computes something else
    each time it is traced, so that two traces of it must not come out equal.
    """
    random.seed()
    np.random.seed()  # noqa: NPY002 - the legacy global state is what layers draw from
