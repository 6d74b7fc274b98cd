"""Running pytest and scripts inside the process of a test, where TensorFlow is loaded already."""

from __future__ import annotations

import gc
import pkgutil
import runpy
import sys
from importlib import import_module
from pathlib import Path

import pytest

import pytest_kerasequiv


def load_package() -> None:
    """Import all of the package: pytester forgets what a run imported, but TensorFlow loads only once."""
    for module in pkgutil.walk_packages(pytest_kerasequiv.__path__, "pytest_kerasequiv."):
        if module.name != "pytest_kerasequiv.__main__":
            import_module(module.name)
    gc.freeze()  # each pytest in pytest collects garbage five times when it ends: not over all of TensorFlow


def run_script(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a file as ``python file`` in its folder does; what it imported from there is forgotten."""
    monkeypatch.chdir(path.parent)
    monkeypatch.syspath_prepend(path.parent)
    try:
        runpy.run_path(str(path), run_name="__main__")
    finally:
        for own in path.parent.glob("*.py"):
            sys.modules.pop(own.stem, None)
