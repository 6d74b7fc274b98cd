import subprocess
import sys


def test_importing_loads_nothing_heavy():
    code = (
        "import sys, pytest_kerasequiv.statistics.decision, "
        "pytest_kerasequiv.reporting.decision_plot; "
        "print([m for m in ('numpy', 'scipy', 'matplotlib', 'keras', 'tensorflow') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
