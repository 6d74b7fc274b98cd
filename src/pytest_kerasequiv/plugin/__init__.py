"""The pytest plugin: options, markers, skipping, the gate and the terminal section. Imports nothing heavy."""

from __future__ import annotations

import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from pytest_kerasequiv.plugin.controller import Controller
from pytest_kerasequiv.plugin.fixtures import keras_twins, kerasequiv_executor, kerasequiv_settings
from pytest_kerasequiv.plugin.options import (
    SKIP_REASON,
    add_options,
    any_given,
    enabled,
    records_plain_calls,
    renews,
)
from pytest_kerasequiv.plugin.records import ENTRIES, forget

__all__ = ["keras_twins", "kerasequiv_executor", "kerasequiv_settings"]

PAIR_CHECKS = "pytest_kerasequiv.plugin.pair_checks"
"""Loaded by what makes one test per pair and check; where it is not, there is no such test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options, declare the marker; what ends the session gathers the results."""
    asked = enabled(config) or any_given(config) or renews(config)
    if asked:
        from pytest_kerasequiv.plugin.settings import settings_of

        settings_of(config)  # a bad value ends the session before it begins
    config.addinivalue_line("markers", f"kerasequiv: {SKIP_REASON}")
    if enabled(config):
        from pytest_kerasequiv.plugin.declared_items import add_declaring_file, look_for_revision

        add_declaring_file(config)
        look_for_revision(config)
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller(config, needed=asked), "kerasequiv-controller")


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say in one line what was asked for, and in another what declared twins were not."""
    if not enabled(config):
        return []
    from pytest_kerasequiv.plugin.declared_items import left_out, told_of_revision
    from pytest_kerasequiv.plugin.settings import settings_of

    lines = (settings_of(config).header, told_of_revision(config), left_out(config))
    return [line for line in lines if line is not None]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect declared twins where equivalence was asked for."""
    if not enabled(parent.config):
        return None
    from pytest_kerasequiv.plugin.declared_items import collect_declared

    return collect_declared(file_path, parent)


@pytest.hookimpl(trylast=True)  # after plugins that shuffle
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of a pair together; skip what needs repeated training where it was not asked for."""
    if PAIR_CHECKS in sys.modules:
        from pytest_kerasequiv.plugin.pair_checks import keep_together

        keep_together(items)
    if enabled(config):
        return
    for item in items:
        if item.get_closest_marker("kerasequiv"):
            item.add_marker(pytest.mark.skip(reason=SKIP_REASON))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Note which checks of each pair will run, now that the tests are selected."""
    if PAIR_CHECKS in sys.modules:
        from pytest_kerasequiv.plugin.pair_checks import note_selected

        note_selected(session, trains=enabled(session.config))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Renew the recordings that a test compares with, where that was asked for."""
    if not renews(item.config):
        return (yield)
    from pytest_kerasequiv.plugin.recordings import renewing

    return (yield from renewing(item))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, Any, Any]:
    """Begin a run of a test without what an earlier run of it left; count what its fixtures compare."""
    forget(item)
    if not records_plain_calls(item.config):
        return (yield)
    from pytest_kerasequiv.plugin.plain_calls import recording_setup

    return (yield from recording_setup(item))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Know which fixture made a comparison, for the other tests that use it."""
    if not records_plain_calls(request.config):
        return (yield)
    from pytest_kerasequiv.plugin.plain_calls import recording_fixture

    return (yield from recording_fixture(request, fixturedef.argname))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    """Let the tests of `parametrize_with_checks` call their check, and see that they do."""
    if PAIR_CHECKS not in sys.modules:
        return (yield)
    from pytest_kerasequiv.plugin.pair_checks import bind, demand_call

    bound = bind(pyfuncitem)
    outcome = yield
    if bound is not None:
        demand_call(bound)
    return outcome


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Count what a test compares by plain `compare` and `assert_equivalent` too."""
    if not records_plain_calls(item.config):
        return (yield)
    from pytest_kerasequiv.plugin.plain_calls import recording_phase

    return (yield from recording_phase(item))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Let a test's results travel with its report, and nothing else of them stay."""
    if item.stash.get(ENTRIES, []):
        from pytest_kerasequiv.plugin.ledger import close, publish

        publish(item)
        if call.when == "teardown":
            close(item)
    return (yield)
