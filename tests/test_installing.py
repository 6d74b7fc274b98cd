"""The wheel and the source distribution: what they hold, ask for and do where no checkout is near."""

from __future__ import annotations

import email
import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow

USERS_TEST = """
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import pytest

import pytest_kerasequiv
from pytest_kerasequiv import Report, Twins, TwinsFactory, TwinsUnderTest, Verdict
from pytest_kerasequiv import compare, parametrize_with_checks


def build() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])


def other() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])


def test_the_same(keras_twins: TwinsFactory) -> None:
    twins: TwinsUnderTest = keras_twins(build)
    twins.assert_equivalent()


def test_another() -> None:
    report: Report = compare(build, other)
    assert report.verdict is Verdict.DIFFERENT


@parametrize_with_checks([Twins(build)])
def test_twins(twins: Twins, check: Callable[[Twins], None]) -> None:
    check(twins)


def test_what_is_installed(pytestconfig: pytest.Config) -> None:
    assert "site-packages" in Path(pytest_kerasequiv.__file__ or "").parts
"""


@pytest.fixture(scope="module")
def distributions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=PROJECT,
        check=True,
        capture_output=True,
    )
    return folder


def installed(distribution, folder):
    """Install a distribution in an environment that has all of this one but the project.."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    inner = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    # A path only: what is installed there as editable is not found.
    (inner / "outer.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    offline = ["--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed"]
    command = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "-q",
        *offline,
        str(distribution),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return python


@pytest.fixture(scope="module")
def from_wheel(distributions, tmp_path_factory):
    (wheel,) = distributions.glob("*.whl")
    return installed(wheel, tmp_path_factory.mktemp("wheel") / "venv")


@pytest.fixture
def users_test(tmp_path):
    (tmp_path / "test_it.py").write_text(USERS_TEST)
    return tmp_path


def run(python, folder, *arguments):
    """Run a module of Python in a folder, without this checkout on its path."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(python), "-m", *arguments], cwd=folder, env=settings, capture_output=True, text=True, check=False
    )


def test_no_tensorflow_is_asked_for_but_by_its_extra(distributions):
    (wheel,) = distributions.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
        needed = email.message_from_bytes(archive.read(name)).get_all("Requires-Dist")
    of_models = [text for text in needed if text.startswith(("tensorflow", "keras"))]
    assert [text for text in of_models if "extra ==" not in text] == []
    assert {"keras>=3.9.2; extra == 'tensorflow'", "tensorflow>=2.19; extra == 'tensorflow'"} <= set(
        of_models
    )


def test_the_wheel_serves_tests_far_from_a_checkout(from_wheel, users_test):
    done = run(
        from_wheel, users_test, "pytest", "-q", "-p", "no:randomly", "--kerasequiv", "--kerasequiv-report=it"
    )
    assert done.returncode == 0, done.stdout
    assert "EQUIVALENT (proved)" in done.stdout
    assert (users_test / "it" / "report.html").stat().st_size > 1000


def test_the_users_tests_are_typed_by_the_wheel(from_wheel, users_test):
    pytest.importorskip("mypy")
    typed = (
        "mypy",
        "--strict",
        "--python-executable",
        str(from_wheel),
        "--disable-error-code",
        "import-untyped",
    )
    done = run(sys.executable, users_test, *typed, "test_it.py")
    assert done.returncode == 0, done.stdout
    wrong = users_test / "test_wrong.py"
    wrong.write_text(USERS_TEST.replace("twins.assert_equivalent()", "twins.assert_equal()"))
    done = run(sys.executable, users_test, *typed, wrong.name)
    assert '"TwinsUnderTest" has no attribute "assert_equal"' in done.stdout


def test_the_source_distribution_is_installed_and_tested(distributions, tmp_path):
    (source,) = distributions.glob("*.tar.gz")
    python = installed(source, tmp_path / "venv")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("pytest_kerasequiv-*")
    read_by_tests = {".ci", "benchmarks", "changes", "docs", "examples", "pyproject.toml"}
    read_by_tests |= {"CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md"}
    assert read_by_tests <= {path.name for path in unpacked.iterdir()}
    (unpacked / "src").rename(tmp_path / "not-imported")
    done = run(
        python,
        unpacked,
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "tests/test_verdict.py",
        "tests/checks/test_summary.py",
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
