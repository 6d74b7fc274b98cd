"""The fixtures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pytest_kerasequiv.plugin.settings import Settings
    from pytest_kerasequiv.plugin.twins_factory import TwinsFactory


@pytest.fixture(scope="session")
def kerasequiv_executor(pytestconfig: pytest.Config) -> Iterator[Any]:
    """The `concurrent.futures.Executor` that runs trainings; meant to be overridden. ``None``: in process.

    By default it is what ``--kerasequiv-workers`` names.
    """
    from pytest_kerasequiv.plugin.settings import settings_of

    workers = settings_of(pytestconfig).workers
    if workers is None:
        yield None
        return
    from pytest_kerasequiv.training.executors.pools import executor_for

    executor = executor_for(workers)
    yield executor
    (executor.close if hasattr(executor, "close") else executor.shutdown)()


@pytest.fixture(scope="session")
def kerasequiv_settings(pytestconfig: pytest.Config) -> Settings:
    """The settings of the checks; override it in a folder's conftest to give its tests other defaults.

    ``return kerasequiv_settings.with_defaults(seeds=10, margin="5%", rtol=1e-4)``
    """
    from pytest_kerasequiv.plugin.settings import settings_of

    return settings_of(pytestconfig)


@pytest.fixture
def keras_twins(request: pytest.FixtureRequest, kerasequiv_settings: Settings) -> TwinsFactory:
    """A factory: ``keras_twins(reference, candidate, input_shape=(60, 2))`` is a pair of twins to assert on.

    It takes the arguments of `Twins` (or one `Twins`), and ``inputs``, ``rtol``, ``atol`` and ``seed`` as
    `compare` does. Without a candidate the other-API twin is derived. ``keras_twins(build,
    recording="forecaster")`` compares with ``recordings/forecaster.kerasequiv`` beside the test's file. With
    ``--kerasequiv-against REV``, ``keras_twins(build)`` compares with the same builder at that git revision,
    where ``was="package.module:name"`` names it if it had another name. Every result lands in the session's
    report.
    """
    from pytest_kerasequiv.plugin.twins_factory import TwinsFactory

    return TwinsFactory(request, kerasequiv_settings)
