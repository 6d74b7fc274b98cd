"""What plain pytest costs with the plugin installed: ``python benchmarks/footprint.py [runs]``.

Times an empty test in turns, each a fresh process: with the plugin, with a plugin that is an empty module
instead, and with neither. The empty one is the floor, what pytest and Python take for loading any plugin; the
rest is ours. Prints the median and the quartiles of the paired differences, which need an idle machine, above
all with ``-n 2``, and counts the modules that only the plugin brings. Target: less than 10 ms and no heavy
library, also under ``-n 2``.

The plugin is installed in all three. That alone costs something: pytest lists the files of every installed
distribution that has a plugin, 1.4 ms for the 403 files of this one's wheel.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HEAVY = {"tensorflow", "keras", "numpy", "scipy", "networkx", "matplotlib", "rich", "jinja2"}
TEST = """
import pathlib, sys
def test_empty():
    pathlib.Path('modules').write_text(' '.join(sys.modules))
"""
QUIET = ("-q", "-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")
ARMS = {
    "with": ("-p", "no:empty"),
    "empty": ("-p", "no:kerasequiv"),
    "without": ("-p", "no:kerasequiv", "-p", "no:empty"),
}
GAPS = {
    "the plugin": ("with", "without"),
    "an empty plugin": ("empty", "without"),
    "ours of it": ("with", "empty"),
}


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_empty.py").write_text(TEST)
        install_empty_plugin(folder / "installed")
        for workers in ((), ("-n", "2")):
            report(folder, workers, runs)


def install_empty_plugin(folder: Path) -> None:
    """Make what an installed distribution with an empty plugin looks like."""
    info = folder / "pytest_empty-1.dist-info"
    info.mkdir(parents=True)
    (folder / "pytest_empty.py").write_text("")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pytest-empty\nVersion: 1\n")
    (info / "RECORD").write_text("pytest_empty.py,,\n")
    (info / "entry_points.txt").write_text("[pytest11]\nempty = pytest_empty\n")


def report(folder: Path, workers: tuple[str, ...], runs: int) -> None:
    costs: dict[str, list[tuple[float, float]]] = {arm: [] for arm in ARMS}
    modules = {}
    for turn in range(-1, runs):  # the first turn warms the caches
        for arm in sorted(ARMS, reverse=turn % 2 == 0):
            cost = cost_of(folder, (*workers, *ARMS[arm]))
            modules[arm] = set((folder / "modules").read_text().split())
            if turn >= 0:
                costs[arm].append(cost)
    medians = ", ".join(f"{1000 * median([c[0] for c in costs[arm]]):.1f} ms {arm}" for arm in ARMS)
    print(f"{' '.join(workers) or 'one process'}: {runs} runs each in turns, median wall time {medians}")
    for label, (more, less) in GAPS.items():
        print(f"  {label + ':':<17}{gap(costs[more], costs[less], 0)} wall, ", end="")
        print(f"{gap(costs[more], costs[less], 1)} CPU")
    brought = modules["with"] - modules["without"]
    print(f"  modules only with the plugin: {len(brought)}, heavy among them: {sorted(brought & HEAVY)}")


def gap(more: list[tuple[float, float]], less: list[tuple[float, float]], clock: int) -> str:
    """Return the median and the quartiles of the paired differences, in ms."""
    gaps = sorted(1000 * (a[clock] - b[clock]) for a, b in zip(more, less, strict=True))
    low, high = gaps[len(gaps) // 4], gaps[3 * len(gaps) // 4]
    return f"{median(gaps):5.1f} ms ({low:.1f} to {high:.1f})"


def median(values: list[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def cost_of(folder: Path, options: tuple[str, ...]) -> tuple[float, float]:
    """Run pytest once and return its wall time and the CPU time of it and its workers."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(folder / "installed")
    command = [sys.executable, "-m", "pytest", *QUIET, *options, "test_empty.py"]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used


if __name__ == "__main__":
    main()
