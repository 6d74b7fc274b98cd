"""What a process of another backend does when it is asked: observe a model, train its like."""

from __future__ import annotations

import importlib
import pickle
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
import keras

from pytest_kerasequiv.backends.elsewhere import Model, Structure
from pytest_kerasequiv.building.compiling import check_compile
from pytest_kerasequiv.building.sources import source_of
from pytest_kerasequiv.building.specs import input_specs, output_count
from pytest_kerasequiv.building.twins import OneSide
from pytest_kerasequiv.checks.compiled.in_force import settings_of
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.numeric import inference, training_pass
from pytest_kerasequiv.checks.numeric.views import TwinView
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.correspondence.known import known_variables
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.common_draws import common_draws
from pytest_kerasequiv.program.unseen import own_code_of
from pytest_kerasequiv.running.dtypes import least_precise_dtype
from pytest_kerasequiv.running.other_backends import OtherRunner
from pytest_kerasequiv.surface.entries import Kind
from pytest_kerasequiv.training.arms import Arm
from pytest_kerasequiv.training.engines.fit import FitEngine
from pytest_kerasequiv.training.fitting import check_fits
from pytest_kerasequiv.training.plan import Training

KEPT = 2
"""Most models that are kept at a time; others are built again where they are asked about."""

FRAMES = 6
"""Of a trace, the innermost: the user's own, below this package's."""


def serve(connection: Connection) -> None:
    """Answer questions, each a pickle, until the connection is closed."""
    known: dict[str, Observed] = {}
    while True:
        question = connection.recv_bytes()
        for answer in _answers(question, known):
            sys.stdout.flush()
            connection.send_bytes(pickle.dumps(answer))


def _answers(question: bytes, known: dict[str, Observed]) -> Iterator[tuple[str, Any]]:
    """Yield ``("answer", what)`` and at last ``("done", None)``, or how it failed and why."""
    try:
        what, key, model, arguments = pickle.loads(question)
        if key not in known:
            known[key] = Observed(cloudpickle.loads(model))
            while len(known) > KEPT:
                known.pop(next(iter(known)))
        for answer in ASKED[what](known[key], *cloudpickle.loads(arguments)):
            yield "answer", answer
    except Exception as error:
        cause = error.__cause__ if isinstance(error, InputError) else error
        trace = "" if cause is None else "".join(traceback.format_exception(cause, limit=-FRAMES))
        said = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"
        yield ("input" if isinstance(error, InputError) else "raised"), (said, trace)
        return
    yield "done", None


class _Candidate(OneSide):
    """A candidate alone: messages call it so."""

    def __init__(self, model: Model) -> None:
        super().__init__(model.given, **model.options)
        settings = check_compile(model.options.get("compile"))
        self._given_reference = source_of(model.given, "candidate", compile=settings)
        self.tell_specs(model.specs)


class Observed:
    """A model, and what it is observed with.

    Args:
        model: what makes it.
    """

    def __init__(self, model: Model) -> None:
        self.twins = _Candidate(model)
        self._arms: dict[str, Arm] = {}

    @cached_property
    def _pair(self) -> Pair:
        return Pair(self.twins)

    @cached_property
    def _runner(self) -> OtherRunner:
        return OtherRunner(self.twins.reference, self._pair.reference_values)

    def structure(self) -> Iterator[Structure]:
        """Yield what is known of it before it is run."""
        twin = self._pair.reference_twin
        seen = {}
        for name in ("summary", "graph", "weights"):
            check = LADDER[name]
            seen[name] = [check.observe(twin, plan) for plan in check.plan(twin, None)]
        yield Structure(
            summary=seen["summary"][0],
            graph=seen["graph"][0],
            start=seen["weights"][0],
            again=seen["weights"][1],
            known=known_variables(twin.model),
            specs=input_specs(twin.model),
            outputs=output_count(twin.model),
            program=twin.program,
            code=tuple(own_code_of(twin.model, Kind.INFERENCE)),
            settings=settings_of(twin.model),
            versions=_versions(),
        )

    def inferred(self, plan: Any, values: Any, generic: Any) -> Iterator[inference.InferenceObservation]:
        """Yield what it returns on a plan's probes, under values."""
        with common_draws():
            yield inference.observe(self._view(values, generic), plan)

    def passed(self, plan: Any, values: Any) -> Iterator[training_pass.BackwardObservation]:
        """Yield what it does in training mode on a plan's batches, under values."""
        with common_draws():
            yield training_pass.observe(self._view(values, None), plan)

    def outputs(self, inputs: Any, values: Any) -> Iterator[Any]:
        """Yield what it returns for one batch, under values."""
        runner = self._runner.under(values)
        with common_draws(), runner.holding():
            yield runner.infer(inputs).outputs

    def trained(self, arm: str, plan: Training, seeds: Any) -> Iterator[Any]:
        """Yield one run a seed, and at last how it was trained."""
        if arm not in self._arms:
            check_fits(self.twins.reference, plan, "candidate")
            self._arms[arm] = FitEngine(self.twins.reference_source, plan, "candidate")
        yield from self._arms[arm].train(seeds)
        yield self._arms[arm].reason

    def _view(self, values: Any, generic: Any) -> TwinView:
        twin = self._pair.reference_twin
        dtype = least_precise_dtype(twin.model)
        view = TwinView(twin.model, values, twin.source, dtype, twin.graph, generic)
        view.once("runner", lambda: self._runner.under(values))
        return view


def _versions() -> dict[str, str]:
    backend = keras.config.backend()
    modules = {"keras": keras, backend: importlib.import_module(backend)}
    return {name: str(module.__version__) for name, module in modules.items()}


ASKED: Mapping[str, Callable[..., Iterator[Any]]] = {
    "structure": Observed.structure,
    "inferred": Observed.inferred,
    "passed": Observed.passed,
    "outputs": Observed.outputs,
    "trained": Observed.trained,
}
