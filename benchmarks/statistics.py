"""Simulate every cell of the target table of the statistical decision.

    python benchmarks/statistics.py            # 2000 experiments a cell and more, about half an hour
    python benchmarks/statistics.py --quick    # 200 experiments a cell, for CI, under a minute
    python benchmarks/statistics.py --write    # also write the tables of docs/statistics.md and its picture

Exits with 1 where a target is missed by more than ``--tolerance`` standard errors.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: tiny products, threads only get in the way
os.environ.setdefault("OMP_NUM_THREADS", "1")
# This file's own name would hide the standard library's `statistics` from everyone else.
sys.path[0] = str(Path(__file__).parent / "_statistics")

import numpy as np  # noqa: E402
from cells import GROUPS, Cell, summaries  # noqa: E402
from page import table_line, write_page  # noqa: E402

ROOT = Path(__file__).parents[1]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="200 experiments a cell instead of 2000")
    parser.add_argument("--experiments", type=int, help="experiments a cell")
    parser.add_argument("--only", nargs="*", help=f"groups: {', '.join(group.__name__ for group in GROUPS)}")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument(
        "--tolerance", type=float, default=3.0, help="standard errors that chance may miss a target by"
    )
    parser.add_argument(
        "--write", action="store_true", help="write docs/statistics.md and docs/statistics.svg"
    )
    parser.add_argument("--save", type=Path, help="keep the cells in this JSON file")
    parser.add_argument("--load", type=Path, help="read the cells from such a file instead of simulating")
    return parser.parse_args()


def simulate(groups: list[str] | None, count: int, seed: int) -> list[Cell]:
    """Run the groups, each from a random stream of its own, printing cells as they come."""
    cells: list[Cell] = []
    for index, group in enumerate(GROUPS):
        if groups and group.__name__ not in groups:
            continue
        for cell in group(np.random.default_rng((seed, index)), count):
            cells.append(cell)
            print(table_line(cell), flush=True)
    for cell in summaries(cells):
        cells.append(cell)
        print(table_line(cell), flush=True)
    return cells


def load(path: Path) -> list[Cell]:
    return [Cell(**fields) for fields in json.loads(path.read_text())]


def main() -> int:
    options = arguments()
    count = options.experiments or (200 if options.quick else 2000)
    started = time.perf_counter()
    cells = load(options.load) if options.load else simulate(options.only, count, options.seed)
    if options.save:
        options.save.write_text(json.dumps([asdict(cell) for cell in cells], indent=1) + "\n")
    seconds = time.perf_counter() - started
    missed = [cell for cell in cells if not cell.met]
    beyond = [cell for cell in missed if cell.missed_by > options.tolerance]
    print(
        f"{len(cells)} cells in {seconds:.0f} s; targets missed: {len(missed)}, beyond chance: {len(beyond)}"
    )
    for cell in missed:
        print(f"missed by {cell.missed_by:.1f} standard errors: {table_line(cell)}")
    if options.write:
        write_page(cells, ROOT / "docs", seed=options.seed)
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
