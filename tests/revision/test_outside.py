"""What code was noted to depend on, files elsewhere and variables, and whether they are as they were."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_kerasequiv.revision.outside import Needs, read_needs, write_needs

SCRIPT = """
import json, os, sys
from pytest_kerasequiv.revision.outside import Noted, installed_folders

noted = Noted([sys.argv[1], *installed_folders(), sys.argv[3]], os.environ)
noted.begin()
exec(sys.argv[2])
print(json.dumps(noted.needs().to_dict()))
"""


@pytest.fixture
def needs(tmp_path, monkeypatch):
    """Return what a process noted of a statement."""
    monkeypatch.setenv("UNITS", "4")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "own.txt").write_text("")
    (tmp_path / "units.txt").write_text("4")
    plugin = str(Path(__file__).parents[2] / "src")

    def run(statement):
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path / "tree"), statement, plugin],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": plugin},
            capture_output=True,
            text=True,
            check=True,
        )
        return Needs.from_dict(json.loads(done.stdout))

    return run


@pytest.mark.parametrize(
    "reading", ["os.environ['UNITS']", "os.getenv('UNITS')", "os.environ.get('UNITS')", "dict(os.environ)"]
)
def test_a_variable_that_was_read_must_be_as_it_was(needs, reading):
    found = needs(reading)
    assert "UNITS" in found.variables
    assert "4" not in json.dumps(list(found.variables))
    assert found.hold(os.environ)
    assert not found.hold(os.environ | {"UNITS": "5"})
    assert not found.hold({name: value for name, value in os.environ.items() if name != "UNITS"})


def test_a_variable_that_was_not_read_may_be_another(needs):
    assert needs("os.environ.get('OTHER')").hold(os.environ | {"UNITS": "5"})


def test_a_variable_that_appears_is_noticed(needs):
    found = needs("os.environ.get('OTHER')")
    assert found.hold(os.environ)
    assert not found.hold(os.environ | {"OTHER": "1"})


def test_what_the_code_sets_is_not_what_it_was_given(needs):
    assert needs("os.environ['UNITS'] = '9'").hold(os.environ)


def test_a_file_that_was_read_must_be_as_it_was(needs, tmp_path):
    found = needs("open('units.txt').close(); open('tree/own.txt').close(); open('log.txt', 'w').close()")
    assert list(found.files) == [str(tmp_path / "units.txt")]
    assert found.hold(os.environ)
    assert list(found.within(str(tmp_path))) == ["units.txt"]
    (tmp_path / "units.txt").write_text("15")
    assert not found.hold(os.environ)


def test_a_file_that_was_looked_for_must_stay_away(needs, tmp_path):
    found = needs("import contextlib\nwith contextlib.suppress(OSError):\n    open('absent.txt')")
    assert found.hold(os.environ)
    (tmp_path / "absent.txt").write_text("")
    assert not found.hold(os.environ)


def test_the_source_of_a_compiled_module_counts(needs, tmp_path):
    (tmp_path / "library.py").write_text("UNITS = 4")
    needs("sys.path.insert(0, '.'); import library")
    found = needs("sys.path.insert(0, '.'); import library")  # from its compiled form
    assert str(tmp_path / "library.py") in found.files
    assert not any(name.endswith(".pyc") for name in found.files)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"files": 3}', b"\xff", b"[" * 100_000])
def test_what_cannot_be_read_is_not_known(tmp_path, content):
    (tmp_path / "x.needs").write_bytes(content)
    assert read_needs(tmp_path / "x.needs") is None
    assert read_needs(tmp_path / "absent.needs") is None


def test_what_was_written_is_read_again(tmp_path):
    found = Needs({"/a": (1, 2), "/b": None}, ("UNITS",), "digest")
    write_needs(tmp_path / "x.needs", found)
    assert read_needs(tmp_path / "x.needs") == found
