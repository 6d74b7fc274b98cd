"""What `keras_twins` returns: a pair of twins whose checks are asserted and land in the session's report."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.plugin.ledger import Entry, could_not_run
from pytest_kerasequiv.plugin.options import SKIP_REASON
from pytest_kerasequiv.plugin.settings import Settings
from pytest_kerasequiv.verdict import CheckResult, Report, Verdict

if TYPE_CHECKING:
    import keras

    from pytest_kerasequiv.training.plan import Training
    from pytest_kerasequiv.weight_map import WeightMap

Made = TypeVar("Made")


class InconclusiveWarning(pytest.PytestWarning):
    """An equivalence check answered neither yes nor no, and ``kerasequiv_inconclusive`` says to warn."""


@dataclass(frozen=True)
class SessionServices:
    """What a test's checks need of its session, asked for when it is needed.

    Attributes:
        settings: the settings of the test's folder.
        executor: returns the executor of trainings.
        progress: returns the context manager of a progress display for a training of the named pair.
        cache: returns what keeps finished runs, ``None`` to keep none.
    """

    settings: Settings
    executor: Callable[[], Any]
    progress: Callable[[str], Any]
    cache: Callable[[], Any]


class TwinsUnderTest:
    """A pair of twins in a test: each ``assert_same_*`` runs one check and fails unless it is EQUIVALENT."""

    def __init__(self, entry: Entry, surroundings: SessionServices) -> None:
        self._entry = entry
        self._surroundings = surroundings

    @property
    def reference(self) -> keras.Model:
        """The built reference."""
        __tracebackhide__ = True
        return self.without_plugin_frames(lambda: self._entry.comparison.model("reference"))

    @property
    def candidate(self) -> keras.Model:
        """The built candidate."""
        __tracebackhide__ = True
        return self.without_plugin_frames(lambda: self._entry.comparison.model("candidate"))

    @property
    def report(self) -> Report:
        """The report over the checks that this test has run so far."""
        return self._entry.report()

    def copy_weights(self) -> WeightMap:
        """Give the built candidate the weights of the built reference, and return which went where.

        Raises:
            InputError: a weight has no partner, or which is which is not certain; nothing is copied then.
        """
        __tracebackhide__ = True
        return self.without_plugin_frames(self._entry.comparison.twins.copy_weights)

    def check(self, name: str, **options: Any) -> CheckResult:
        """Run one check of the ladder and return its result, whatever it is.

        ``training`` needs ``training=Training(...)`` and, without ``--kerasequiv``, skips the test.
        """
        __tracebackhide__ = True
        from pytest_kerasequiv.checks.ladder import needs_plan

        if needs_plan(name):
            return self._train(name, **options)
        return self._run(name, **options)

    def assert_same_summary(self) -> None:
        """Assert that the rows of ``summary()`` agree: layer type, output shape, parameters, trainable."""
        __tracebackhide__ = True
        self.assert_check("summary")

    def assert_same_graph(self) -> None:
        """Assert that the layer graphs are isomorphic with equal settings, benign rewrites allowed."""
        __tracebackhide__ = True
        self.assert_check("graph")

    def assert_same_program(self) -> None:
        """Assert that both models trace to the same program: the same for all weights and inputs."""
        __tracebackhide__ = True
        self.assert_check("program")

    def assert_same_weights(self) -> None:
        """Assert that the variables map one to one, with equal shapes, trainability and initial values."""
        __tracebackhide__ = True
        self.assert_check("weights")

    def assert_same_outputs(
        self, inputs: Any = None, rtol: float | None = None, atol: float | None = None
    ) -> None:
        """Assert that inference outputs agree under equal weights.

        Args:
            inputs: a batch of your own, as ``Model.predict`` takes it; generated probes are added to it.
            rtol: relative tolerance; by default it is derived from the model's own rounding.
            atol: absolute tolerance, likewise.
        """
        __tracebackhide__ = True
        self.assert_check("outputs", **_given(inputs=inputs, rtol=rtol, atol=atol))

    def assert_same_gradients(self) -> None:
        """Assert that losses, gradients and state updates of training mode agree, dropout coupled."""
        __tracebackhide__ = True
        self.assert_check("gradients")

    def assert_same_updates(self, steps: int = 5) -> None:
        """Assert that the weights agree after every one of ``steps`` training steps in lock-step.

        Of models with over 8 million parameters plain SGD takes three steps at most, where they are compiled.
        """
        __tracebackhide__ = True
        self.assert_check("updates", steps=steps)

    def assert_same_training(self, training: Training) -> None:
        """Assert that repeated training ends in equivalent metrics; skips without ``--kerasequiv``."""
        __tracebackhide__ = True
        self.assert_check("training", training=training)

    def accept(self, *patterns: str) -> TwinsUnderTest:
        """Say that differences are meant: what the patterns ``layer.field`` name becomes a note.

        Args:
            *patterns: as `compare` takes them: ``"clip.*"`` names every field of the layer ``clip``.

        Returns:
            The pair itself.
        """
        __tracebackhide__ = True
        self.without_plugin_frames(lambda: self._entry.comparison.accepting(patterns))
        return self

    def assert_equivalent(self, training: Training | None = None) -> None:
        """Run the cheap checks until the answer is known, and training with a plan; assert the verdict.

        With a plan but without ``--kerasequiv`` a difference still fails; else the test is skipped.
        """
        __tracebackhide__ = True
        from pytest_kerasequiv.checks.ladder import asked_checks, trained_checks

        for name in asked_checks(None, None):
            self.advance(name)
        if training is not None:
            for name in trained_checks():
                self.advance(name, training=training)
        self.refuse_idle_accept()
        self._demand(self.report)

    def refuse_idle_accept(self) -> None:
        """Refuse a pattern of ``accept`` that meets nothing, once every check that needs no plan has run."""
        __tracebackhide__ = True
        if self._entry.comparison.complete:
            self.without_plugin_frames(self._entry.comparison.refuse_idle_accept)

    def advance(self, name: str, **options: Any) -> CheckResult | None:
        """Run the next check unless the answer is known; ``None`` where that is a difference."""
        __tracebackhide__ = True
        comparison = self._entry.comparison
        trains_now = "training" in options and comparison.different_by(name) is None
        if (self._surroundings.settings.all or trains_now) and not self.leaves_out(name):
            return self.check(name, **options)
        self._note(name)
        return self.without_plugin_frames(lambda: comparison.advance(name, **options))

    def leaves_out(self, name: str) -> bool:
        """Tell whether a check can tell nothing of this pair, and note why."""
        __tracebackhide__ = True
        left = self.without_plugin_frames(lambda: self._entry.comparison.leaves_out(name))
        if left:
            self._note(name)
        return left

    def inform(self, name: str) -> CheckResult:
        """Run one check that informs: where numeric checks of the pair run, they decide."""
        __tracebackhide__ = True
        self._entry.informs.append(name)
        return self.check(name)

    def assert_check(self, name: str, **options: Any) -> None:
        """Run one check of the ladder and assert that it is EQUIVALENT."""
        __tracebackhide__ = True
        self.check(name, **options)
        self.demand(name)

    def demand(self, name: str) -> None:
        """Assert that a check that has run is EQUIVALENT."""
        __tracebackhide__ = True
        whole = self.report
        result = whole[name]
        self._demand(Report(whole.name, result.verdict, result.evidence, {name: result}, whole.context))

    def _train(self, name: str, training: Training) -> CheckResult:
        __tracebackhide__ = True
        from pytest_kerasequiv.checks.ladder import asked_checks

        if not hasattr(training, "with_defaults"):
            self.without_plugin_frames(lambda: asked_checks([name], training))
        settings = self._surroundings.settings
        if not settings.enabled:
            pytest.skip(SKIP_REASON)
        with self._surroundings.progress(self._entry.comparison.twins.name) as progress:
            return self._run(
                name,
                training=training.with_defaults(**settings.training_defaults),
                progress=progress,
                executor=self._surroundings.executor(),
                cache=self._surroundings.cache(),
            )

    def _run(self, name: str, **options: Any) -> CheckResult:
        __tracebackhide__ = True
        self._note(name)
        return self.without_plugin_frames(lambda: self._entry.comparison.check(name, **options))

    def _note(self, name: str) -> None:
        if name not in self._entry.ran:
            self._entry.ran.append(name)

    @staticmethod
    def without_plugin_frames(call: Callable[[], Made]) -> Made:
        """Return what a call returns; bad input is shown without the plugin's own frames."""
        __tracebackhide__ = True
        try:
            return call()
        except InputError as error:
            raise error.with_traceback(None) from error.__cause__

    def _demand(self, report: Report) -> None:
        """Turn a verdict into the outcome of the test."""
        __tracebackhide__ = True
        if report.verdict is Verdict.EQUIVALENT:
            return
        broken = any(could_not_run(result) for result in report.checks.values())
        if (
            report.verdict is Verdict.INCONCLUSIVE
            and not broken
            and self._surroundings.settings.inconclusive == "warn"
        ):
            from pytest_kerasequiv.reporting.text import headline

            warnings.warn(InconclusiveWarning(headline(report)), stacklevel=_level_of_caller())
            return
        raise AssertionError(str(report))


def _level_of_caller() -> int:
    """Return the stack level of the first frame outside the package: the line of the test."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals["__name__"].startswith("pytest_kerasequiv."):
        frame, level = frame.f_back, level + 1
    return level


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
