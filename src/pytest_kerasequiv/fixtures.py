"""The fixtures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kerasequiv.ledger import ENTRIES, Entry
from pytest_kerasequiv.progress import progress_of
from pytest_kerasequiv.settings import Settings

if TYPE_CHECKING:
    from pytest_kerasequiv.twins_under_test import TwinsUnderTest

SETTINGS = pytest.StashKey[Settings]()


@pytest.fixture(scope="session")
def kerasequiv_executor() -> Any:
    """The `concurrent.futures.Executor` that runs trainings; meant to be overridden. ``None``: in process."""
    return None


@pytest.fixture(scope="session")
def kerasequiv_settings(pytestconfig: pytest.Config) -> Settings:
    """The settings of the checks; override it in a folder's conftest to give its tests other defaults.

    ``return kerasequiv_settings.with_defaults(seeds=10, margin="5%", rtol=1e-4)``
    """
    return pytestconfig.stash[SETTINGS]


@pytest.fixture
def keras_twins(
    request: pytest.FixtureRequest, kerasequiv_settings: Settings
) -> Callable[..., TwinsUnderTest]:
    """A factory: ``keras_twins(reference, candidate, input_shape=(60, 2))`` is a pair of twins to assert on.

    It takes the arguments of `Twins` (or one `Twins`), and ``inputs``, ``rtol``, ``atol`` and ``seed`` as
    `compare` does. Without a candidate the other-API twin is derived. Every result lands in the session's
    report.
    """

    def make(reference: Any, candidate: Any = None, **options: Any) -> TwinsUnderTest:
        __tracebackhide__ = True
        from pytest_kerasequiv.comparison import Comparison
        from pytest_kerasequiv.models.twins import Twins

        names = ("inputs", "rtol", "atol", "seed")
        how: dict[str, Any] = {"rtol": kerasequiv_settings.rtol, "atol": kerasequiv_settings.atol}
        how |= {name: options.pop(name) for name in names if name in options}
        entries = request.node.stash.setdefault(ENTRIES, [])
        if not isinstance(reference, Twins):
            options.setdefault("name", request.node.name + (f" #{len(entries) + 1}" if entries else ""))
            reference = Twins(reference, candidate, **options)
        entry = Entry(f"{request.node.nodeid} #{len(entries)}", Comparison(reference, **how))
        entries.append(entry)
        return _under_test(request, kerasequiv_settings, entry)

    return make


def _under_test(request: pytest.FixtureRequest, settings: Settings, entry: Entry) -> TwinsUnderTest:
    from pytest_kerasequiv.twins_under_test import Surroundings, TwinsUnderTest

    surroundings = Surroundings(
        settings=settings,
        executor=lambda: request.getfixturevalue("kerasequiv_executor"),
        progress=lambda name: progress_of(request.config, name),
    )
    return TwinsUnderTest(entry, surroundings)
