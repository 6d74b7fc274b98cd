"""``--kerasequiv-against REV``: the builders of the working tree against themselves at a git revision."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.plugin.options import renews
from pytest_kerasequiv.plugin.records import NEW
from pytest_kerasequiv.plugin.settings import cache_folder, settings_of
from pytest_kerasequiv.revision.repository import Commit, Repository
from pytest_kerasequiv.revision.requirements import changed_requirements

if TYPE_CHECKING:
    from pytest_kerasequiv.comparison import Comparison
    from pytest_kerasequiv.revision.against import Against, Then

OPTION = "--kerasequiv-against"


class RevisionWarning(pytest.PytestWarning):
    """What the revision was written for differs from what is installed."""


class RevisionOfSession:
    """The revision that a session compares with.

    Args:
        config: the session's config.
        rev: what was asked for.

    Raises:
        pytest.UsageError: git does not know it, or there is no repository.
    """

    def __init__(self, config: pytest.Config, rev: str) -> None:
        self._config = config
        try:
            self.repository = Repository.around(config.rootpath)
            self.commit: Commit = self.repository.commit(rev)
        except InputError as error:
            raise pytest.UsageError(f"{OPTION}: {error}") from error

    @cached_property
    def against(self) -> Against:
        """What observes the revision's builders; its process starts when it is needed."""
        from pytest_kerasequiv.revision.against import Against

        cache = cache_folder(self._config) if settings_of(self._config).cache else None
        made = Against(self.repository, self.commit, cache)
        self._config.add_cleanup(made.close)
        return made

    def told(self) -> str:
        """Return what is compared with what, in one line."""
        changes = " with changes that are not committed" if self.repository.has_changes else ""
        return f"the working tree{changes} against {self.commit}"

    def warn(self) -> None:
        """Warn where the revision was written for other requirements than are installed now."""
        changed = changed_requirements(self.repository, self.commit)
        if changed:
            message = (
                f"{', '.join(changed)}: other requirements at {self.commit}; both sides run under what is "
                "installed now, so a change of versions is not compared"
            )
            self._config.issue_config_time_warning(RevisionWarning(message), stacklevel=2)

    def declaration(self, file: Path, name: str) -> Mapping[str, Any] | None:
        """Return the declaration of a pair as it was; ``None`` where there was none."""
        try:
            place = file.resolve().relative_to(self.repository.top.resolve()).as_posix()
            table = tomllib.loads(self.repository.git("show", f"{self.commit.hash}:{place}"))
            entries = table["tool"]["kerasequiv"]["twins"]
            return next((entry for entry in entries if entry.get("name") == name), None)
        except (InputError, ValueError, KeyError, TypeError, AttributeError):
            return None


REVISION = pytest.StashKey[RevisionOfSession | None]()
"""On the session's config: the revision to compare with, once it was looked for."""


def revision_of(config: pytest.Config) -> RevisionOfSession | None:
    """Return the revision that a session compares with; ``None`` where it compares with none.

    Raises:
        pytest.UsageError: there is no such revision.
    """
    if REVISION not in config.stash:
        settings = settings_of(config)
        asked = settings.against if settings.enabled else None
        if asked is not None and renews(config):
            raise pytest.UsageError(
                f"{OPTION} and --kerasequiv-record cannot be given together: the one compares with what the "
                "other would replace; give one after the other"
            )
        config.stash[REVISION] = None if asked is None else RevisionOfSession(config, asked)
    return config.stash[REVISION]


@dataclass(eq=False)
class ThenAndNow:
    """A builder, and the same at the revision.

    Attributes:
        revision: the revision.
        builder: the builder of the working tree.
        options: those of `Twins`, for the working tree.
        then: makes what stands for it at the revision.
    """

    revision: RevisionOfSession
    builder: Any
    options: Mapping[str, Any]
    then: Callable[[], Then]
    twins: Any = field(default=None, init=False)
    _missing: str = field(default="", init=False)

    def comparison(self, node: pytest.Item, **settings: Any) -> Comparison:
        """Return the comparison of both; where the revision has no such builder, skip the test and say so."""
        __tracebackhide__ = True
        from pytest_kerasequiv.revision.process import NoSuchBuilderError

        if not self._missing:
            try:
                return self._made(settings)
            except NoSuchBuilderError as error:
                self._missing = str(error)
        told = {"name": self.options["name"], "why": self._missing}
        node.user_properties.append((NEW, json.dumps(told)))
        pytest.skip(f"new: {self._missing}")

    def _made(self, settings: Mapping[str, Any]) -> Comparison:
        made = self.revision.against.comparison(self.then(), self.builder, self.options, **settings)
        self.twins = made.twins
        return made


def then_and_now(
    revision: RevisionOfSession, builder: Any, options: Mapping[str, Any], was: Any = None
) -> ThenAndNow:
    """Return a builder of a test, and the same at the revision.

    Args:
        revision: the revision.
        builder: the builder.
        options: those of `Twins`.
        was: what the builder was called then, where that was something else.
    """

    def then() -> Then:
        from pytest_kerasequiv.revision.against import Then

        kept = {name: value for name, value in options.items() if name not in {"name", "weights"}}
        return Then(was or builder, kept)

    return ThenAndNow(revision, builder, options, then)
