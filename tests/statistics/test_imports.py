import subprocess
import sys

import pytest


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, pytest_kerasequiv.statistics as s, pytest_kerasequiv.statistics.decision, "
        "pytest_kerasequiv.reporting.decision_plot; "
        "print([m for m in ('numpy', 'scipy', 'matplotlib', 'keras', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names():
    from pytest_kerasequiv import statistics

    for name in statistics.__all__:
        assert getattr(statistics, name) is not None
        assert name in dir(statistics)
    with pytest.raises(AttributeError, match="nothing_such"):
        statistics.nothing_such  # noqa: B018
