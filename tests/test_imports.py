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
PLUGINS = ["-p", "no:randomly", "-p", "no:hypothesispytest", "-p", "no:cacheprovider"]


def run(*command: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_importing_the_package_imports_nothing_heavy(tmp_path: Path) -> None:
    out = run("-c", f"import sys, pytest_kerasequiv, pytest_kerasequiv.plugin; {SHOW_HEAVY}", folder=tmp_path)
    assert out == "HEAVY []\n"


@pytest.mark.parametrize("workers", [[], ["-n", "2"]], ids=["one-process", "two-workers"])
@pytest.mark.parametrize("flag", [[], ["--kerasequiv-seeds=5"]], ids=["plain", "option"])
def test_plain_pytest_imports_nothing_heavy(tmp_path: Path, workers: list[str], flag: list[str]) -> None:
    seen = f"str(sorted(set({HEAVY}) & set(sys.modules)))"
    (tmp_path / "test_it.py").write_text(
        f"import pathlib, sys\ndef test_it():\n    pathlib.Path('seen').write_text({seen})"
    )
    (tmp_path / "conftest.py").write_text(
        "import sys\ndef pytest_unconfigure(config):\n"
        f"    if not hasattr(config, 'workerinput'):\n        {SHOW_HEAVY}"
    )
    out = run("-m", "pytest", "-q", *PLUGINS, *workers, *flag, folder=tmp_path)
    assert "HEAVY []" in out
    assert (tmp_path / "seen").read_text() == "[]"


def test_names_of_the_public_surface_resolve() -> None:
    import pytest_kerasequiv

    for name in pytest_kerasequiv.__all__:
        assert getattr(pytest_kerasequiv, name) is not None
