"""What Python, TensorFlow and Keras are refused, and in which words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_kerasequiv.keras_access.supported import require_keras, versions, why_not


def tensorflow(version: str = "2.21.0") -> Any:
    return SimpleNamespace(__version__=version)


def keras(version: str = "3.15.1", backend: str = "tensorflow") -> Any:
    return SimpleNamespace(__version__=version, config=SimpleNamespace(backend=lambda: backend))


def test_what_runs_these_tests_is_supported() -> None:
    require_keras()
    assert set(versions()) == {"keras", "tensorflow", "numpy", "scipy"}


@pytest.mark.parametrize(
    "found", ["2.19.0", "2.19.1", "2.20.0", "2.21.1", "2.100", "3.0", "2.22.0-dev20260101", "2.21.0rc1"]
)
def test_versions_from_the_oldest_on_are_taken(found: str) -> None:
    assert why_not(tensorflow(found), keras("3.9.2")) is None


@pytest.mark.parametrize(
    ("tf", "found"), [("2.18.1", "3.9.2"), ("2.15.1", "2.15.0"), ("2.19.1", "3.9.1"), ("2.21.0", "3.3.3")]
)
def test_older_ones_are_named_with_those_that_are_needed(tf: str, found: str) -> None:
    told = why_not(tensorflow(tf), keras(found))
    assert told is not None
    assert f"finds TensorFlow {tf} and Keras {found}" in told
    assert "or newer" in told


def test_what_is_missing_is_named_with_how_to_install_it() -> None:
    told = why_not(ModuleNotFoundError("No module named 'tensorflow'"), keras())
    assert told is not None
    assert 'pip install "pytest-kerasequiv[tensorflow]"' in told
    assert "No module named 'tensorflow'" in told


def test_a_backend_that_is_not_known_is_refused() -> None:
    told = why_not(tensorflow(), keras(backend="openvino"))
    assert told is not None
    assert "runs on openvino" in told
    assert "KERAS_BACKEND=tensorflow" in told


SAID = {
    "no TensorFlow": ("raise ModuleNotFoundError('there is none')", "", "TensorFlow cannot be imported here"),
    "Keras 2": (
        "__version__ = '2.15.0'",
        "__version__ = '2.15.0'",
        "finds TensorFlow 2.15.0 and Keras 2.15.0",
    ),
    "OpenVINO": (
        "__version__ = '2.21.0'",
        "__version__ = '3.15.1'\nclass config:\n    backend = staticmethod(lambda: 'openvino')",
        "runs on openvino here",
    ),
}


@pytest.mark.parametrize("found", SAID)
def test_the_first_use_says_so_in_one_sentence(found: str, tmp_path: Path) -> None:
    first, second, told = SAID[found]
    (tmp_path / "tensorflow.py").write_text(first)
    (tmp_path / "keras.py").write_text(second)
    (tmp_path / "test_it.py").write_text(
        "def test_fixture(keras_twins): keras_twins(list)\n"
        "def test_import():\n    from pytest_kerasequiv import compare\n"
        "def test_statistics():\n"
        "    from pytest_kerasequiv import equivalence_test\n"
        "    equivalence_test([1.0] * 9, [1.0] * 9)\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "--tb=short",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "2 failed, 1 passed" in done.stdout
    assert done.stdout.count(told) >= 2
    assert "INTERNALERROR" not in done.stdout
