from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = (
    "tensorflow",
    "keras",
    "numpy",
    "scipy",
    "networkx",
    "matplotlib",
    "rich",
    "jinja2",
    "pandas",
    "h5py",
    "loky",
    "distributed",
)
SHOW_HEAVY = f"print('HEAVY', sorted(set({HEAVY}) & set(sys.modules)))"
LIGHT = {"plugin", *(f"plugin.{name}" for name in ("controller", "fixtures", "options", "records"))}
"""The package's own modules that plain pytest loads."""
OWN = "sorted(m.partition('.')[2] for m in sys.modules if m.startswith('pytest_kerasequiv.'))"
PLUGINS = ["-p", "no:randomly", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"]


def run(*command: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_importing_the_package_imports_nothing_heavy(tmp_path: Path) -> None:
    out = run("-c", f"import sys, pytest_kerasequiv, pytest_kerasequiv.plugin; {SHOW_HEAVY}", folder=tmp_path)
    assert out == "HEAVY []\n"


def seen_by_plain_pytest(folder: Path, *options: str) -> list[str]:
    """Return what is heavy, then the package's own modules, in the first process, and where tests run."""
    seen = f"' '.join([str(sorted(set({HEAVY}) & set(sys.modules))), *{OWN}])"
    (folder / "test_it.py").write_text(
        f"import pathlib, sys\ndef test_it():\n    pathlib.Path('seen').write_text({seen})"
    )
    (folder / "conftest.py").write_text(
        "import sys\ndef pytest_unconfigure(config):\n"
        f"    if not hasattr(config, 'workerinput'):\n        print('SEEN', {seen})"
    )
    out = run("-m", "pytest", "-q", *PLUGINS, *options, folder=folder)
    return [out.partition("SEEN ")[2].splitlines()[0], (folder / "seen").read_text()]


WORKERS = pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one-process", "two-workers"])


@WORKERS
@pytest.mark.parametrize(
    "options", [[], ["-p", "no:cacheprovider"], ["-W", "error"], ["--import-mode=importlib"]], ids=str
)
def test_plain_pytest_imports_nothing_heavy_and_little_of_the_package(
    tmp_path: Path, workers: list[str], options: list[str]
) -> None:
    expected = " ".join(["[]", *sorted(LIGHT)])
    assert seen_by_plain_pytest(tmp_path, *options, *workers) == [expected] * 2


@WORKERS
def test_an_option_imports_nothing_heavy(tmp_path: Path, workers: list[str]) -> None:
    found = seen_by_plain_pytest(tmp_path, "--kerasequiv-seeds=5", *workers)
    assert [seen.partition("]")[0] for seen in found] == ["["] * 2


def test_a_session_that_compares_nothing_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(f"import sys\ndef test_it(keras_twins): {SHOW_HEAVY}")
    command = [sys.executable, "-m", "pytest", "-s", *PLUGINS, "--kerasequiv"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "HEAVY []" in done.stdout
    assert "FAILED kerasequiv-gate" in done.stdout


def test_importing_the_package_loads_nothing_else(tmp_path: Path) -> None:
    code = f"""
import sys
before = set(sys.modules)  # what measures coverage begins with the process
import pytest_kerasequiv
print({OWN}, sorted({{'json', 'dataclasses'}} & (set(sys.modules) - before)))
"""
    assert run("-c", code, folder=tmp_path) == "[] []\n"


def test_names_of_the_public_surface_resolve() -> None:
    import pytest_kerasequiv

    for name in pytest_kerasequiv.__all__:
        assert getattr(pytest_kerasequiv, name) is not None
        assert name in dir(pytest_kerasequiv)
    with pytest.raises(AttributeError, match="nothing_such"):
        pytest_kerasequiv.nothing_such  # noqa: B018


def test_names_of_the_package_are_those_of_its_modules() -> None:
    import pytest_kerasequiv
    from pytest_kerasequiv import verdict

    for name in ("CheckResult", "Evidence", "Finding", "Report", "Verdict"):
        assert getattr(pytest_kerasequiv, name) is getattr(verdict, name)


def test_a_trace_names_bad_input_as_it_is_imported() -> None:
    import pickle
    import traceback

    from pytest_kerasequiv import InputError

    assert traceback.format_exception_only(InputError("x")) == ["pytest_kerasequiv.InputError: x\n"]
    assert type(pickle.loads(pickle.dumps(InputError("x")))) is InputError


def test_a_report_renders_and_pickles_where_only_its_module_was_imported(tmp_path: Path) -> None:
    code = (
        "import pickle\n"
        "from pytest_kerasequiv.verdict import CheckResult, Evidence, Report, Verdict\n"
        "result = CheckResult('summary', Verdict.EQUIVALENT, Evidence.MEASURED)\n"
        "report = Report('pair', Verdict.EQUIVALENT, Evidence.MEASURED, {'summary': result})\n"
        "assert pickle.loads(pickle.dumps(report)) == report\n"
        "print('pair' in str(report), '<html' in report._repr_html_())"
    )
    assert run("-c", code, folder=tmp_path) == "True True\n"
