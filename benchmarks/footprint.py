"""What plain pytest costs with the plugin installed and without: ``python benchmarks/footprint.py [runs]``.

Times an empty test in turns, with the plugin and with ``-p no:kerasequiv``, each a fresh process, and counts
the modules that only the plugin brings. Target: less than 10 ms and no heavy library, also under ``-n 2``.
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


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_empty.py").write_text(TEST)
        for workers in ((), ("-n", "2")):
            report(Path(folder), workers, runs if not workers else max(runs // 3, 3))


def report(folder: Path, workers: tuple[str, ...], runs: int) -> None:
    with_plugin, without, modules = [], [], []
    for _ in range(runs):
        with_plugin.append(cost(folder, workers))
        seen = set((folder / "modules").read_text().split())
        without.append(cost(folder, (*workers, "-p", "no:kerasequiv")))
        modules.append(seen - set((folder / "modules").read_text().split()))
    print(f"{' '.join(workers) or 'one process'}: {runs} paired runs")
    for number, clock in enumerate(("wall time", "CPU time")):
        gaps = sorted(1000 * (a[number] - b[number]) for a, b in zip(with_plugin, without, strict=True))
        print(
            f"  {clock}: {1000 * median([c[number] for c in with_plugin]):.1f} ms with, "
            f"{1000 * median([c[number] for c in without]):.1f} ms without, paired difference "
            f"{median(gaps):.1f} ms (quartiles {gaps[runs // 4]:.1f} to {gaps[(3 * runs) // 4]:.1f})"
        )
    print(
        f"  modules only with the plugin: {len(modules[0])}, heavy among them: {sorted(modules[0] & HEAVY)}"
    )


def median(values: list[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def cost(folder: Path, options: tuple[str, ...]) -> tuple[float, float]:
    """Run pytest once and return its wall time and the CPU time of it and its workers."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "pytest", *QUIET, *options]
    start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used


if __name__ == "__main__":
    main()
