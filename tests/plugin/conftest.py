"""A pytester folder whose checks are scripted: each answers what its test says."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.common.in_process import load_package

from pytest_kerasequiv.checks.ladder import LADDER

load_package()

NAMES = "from scripted_checks import CALLS, Training, Twins, compare, plan, script\n"


@pytest.fixture
def scripted(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.Pytester]:
    """A folder where ``keras_twins(script({"graph": "DIFFERENT"}))`` makes twins whose graphs differ.

    The files that a test makes begin with the import of what `scripted_checks` offers.
    """
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly -p no:hypothesispytest")
    (pytester.path / "scripted_checks.py").write_text(
        Path(__file__).with_name("scripted_checks.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    pytester.makeconftest("import scripted_checks")
    pytester.syspathinsert()
    make = pytester.makepyfile

    def with_names(*texts: str, **files: str) -> Path:
        return make(*map(_with_names, texts), **{name: _with_names(text) for name, text in files.items()})

    monkeypatch.setattr(pytester, "makepyfile", with_names)
    with LADDER.replaced(list(LADDER)):
        yield pytester


def _with_names(text: Any) -> str:
    return NAMES + textwrap.dedent(str(text))
