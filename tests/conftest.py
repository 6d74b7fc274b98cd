"""What several folders of tests share."""

from __future__ import annotations

import gc
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from tests.common.warm import WarmSessions

CHILDREN = Path(__file__).with_name("common") / "child_processes"


def pytest_configure(config: pytest.Config) -> None:
    """Let Python begin with `CHILDREN` in processes that tests start, not in those that run the tests."""
    if not config.getoption("numprocesses", None):
        path = [str(CHILDREN), *filter(None, [os.environ.get("PYTHONPATH")])]
        os.environ["PYTHONPATH"] = os.pathsep.join(path)


def pytest_collection_finish() -> None:
    """Look for garbage less often, and not among what was imported: that is most of all, and it stays."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


@pytest.fixture(scope="session")
def architectures() -> ModuleType:
    """The module ``tests/architectures.py``: random architectures, their benign rewrites and faults."""
    path = Path(__file__).with_name("architectures.py")
    spec = importlib.util.spec_from_file_location("kerasequiv_test_architectures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def warm_sessions() -> Iterator[WarmSessions]:
    """Sessions of pytest in processes of their own that need not import TensorFlow first."""
    made = WarmSessions()
    yield made
    made.close()
