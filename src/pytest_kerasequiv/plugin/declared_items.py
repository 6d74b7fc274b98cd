"""Collecting declared twins: a ``pyproject.toml`` becomes a file of tests, one per pair and check."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.plugin.declared import DeclaredPair, declares_twins, read_pairs
from pytest_kerasequiv.plugin.declared_against import pairs_against
from pytest_kerasequiv.plugin.pair_checks import PairCheck, pair_check, run_pair_check
from pytest_kerasequiv.plugin.then_and_now import revision_of
from pytest_kerasequiv.plugin.twins_factory import TwinsFactory


def collect_declared(path: Path, parent: pytest.Collector) -> DeclaredFile | None:
    """Return the tests of a ``pyproject.toml`` that declares twins."""
    if path.name != "pyproject.toml" or not declares_twins(path):
        return None
    return DeclaredFile.from_parent(parent, path=path)


def add_declaring_file(config: pytest.Config) -> None:
    """Collect the project's own declaration where ``testpaths`` would leave it out."""
    path = config.rootpath / "pyproject.toml"
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS and declares_twins(path):
        config.args.append(str(path))


def look_for_revision(config: pytest.Config) -> None:
    """Look for the revision to compare with; one that git does not know ends the session before it begins."""
    revision = revision_of(config)
    if revision is not None and not hasattr(config, "workerinput"):
        revision.warn()


def told_of_revision(config: pytest.Config) -> str | None:
    """Return the line that says with which revision is compared."""
    revision = revision_of(config)
    return None if revision is None else f"kerasequiv: {revision.told()}"


def left_out(config: pytest.Config) -> str | None:
    """Say so where the project declares twins, and the paths that were asked for leave them out."""
    path = (config.rootpath / "pyproject.toml").resolve()
    asked = [(config.invocation_params.dir / text.partition("::")[0]).resolve() for text in config.args]
    if any(place in (path, *path.parents) for place in asked) or not declares_twins(path):
        return None
    return f"kerasequiv: the twins declared in {path.name} are not asked for; add it to run them: {path}"


class DeclaredFile(pytest.Module):
    """A ``pyproject.toml`` with declared twins; a module, so that fixtures of that scope have their place."""

    def _getobj(self) -> ModuleType:
        return ModuleType(self.path.stem)

    def collect(self) -> Iterator[DeclaredItem]:
        """Yield one test per pair and check; the cheap checks of all pairs come first."""
        cases = [(pair, name) for pair in self._pairs() for name in pair.checks]
        checks = [
            (pair, pair_check(pair.name, name, pair.plan, full=pair.full, **pair.how)) for pair, name in cases
        ]
        checks.sort(key=lambda case: case[1].plan is not None)
        for pair, check in checks:
            item = DeclaredItem.from_parent(self, name=repr(check), callobj=_test(check, pair))
            item.pair_check, item.line = check, pair.line
            if check.plan is not None:
                item.add_marker(pytest.mark.kerasequiv)
            yield item

    def _pairs(self) -> Iterable[DeclaredPair]:
        pairs, revision = read_pairs(self.path), revision_of(self.config)
        return pairs if revision is None else pairs_against(revision, self.path, pairs)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show what is wrong with the declaration without the plugin's traceback."""
        if isinstance(excinfo.value, tomllib.TOMLDecodeError | UnicodeDecodeError):
            return f"{self.path}: the file cannot be read as TOML: {excinfo.value}"
        if isinstance(excinfo.value, InputError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, *([style] if style else []))


class DeclaredItem(pytest.Function):
    """One check of one declared pair."""

    pair_check: PairCheck
    line: int

    def reportinfo(self) -> tuple[Path, int, str]:
        """Point to the declaration."""
        return self.path, self.line, self.name

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Show a verdict or bad input without a traceback, but what a builder raised with its own."""
        error = excinfo.value
        if isinstance(error, AssertionError) or (isinstance(error, InputError) and error.__cause__ is None):
            return str(error)
        return super().repr_failure(excinfo, *([style] if style else []))


def _test(check: PairCheck, pair: DeclaredPair) -> Callable[..., None]:
    def test(request: pytest.FixtureRequest, keras_twins: TwinsFactory) -> None:
        __tracebackhide__ = True
        run_pair_check(request.node, keras_twins, check, pair.twins)

    return test
