"""Mutation testing: small changes to the source, each of which some test should notice.

    python benchmarks/mutants.py --most 30 --seed 0 [statistics surface weights verdict registry]

Draws so many places of each room at random, changes one (a comparison, an operation, a constant, a condition,
what is returned) and runs the room's tests in a forked process, whose TensorFlow is loaded already. Prints
what survived: it is killed by a better test, or explained in docs/internals.md.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib.abc
import importlib.util
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT / "src")  # this folder has a statistics.py of its own

import keras  # noqa: E402, F401 - loaded once, before the forks
import pytest  # noqa: E402

SOURCE = ROOT / "src" / "pytest_kerasequiv"
SECONDS = 300
"""How long the tests of one mutant may take; a mutant that hangs is noticed."""

TESTS = {
    "verdict": ["tests/test_verdict.py"],
    "registry": ["tests/checks/test_registry.py"],
    "statistics": ["tests/statistics"],
    "surface": ["tests/surface"],
    "weights": ["tests/weights"],
}
SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult, ast.Pow: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
    ast.And: ast.Or, ast.Or: ast.And,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="*", default=list(TESTS))
    parser.add_argument("--most", type=int, default=30, help="places drawn in each room")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    os.chdir(ROOT)
    for room in options.rooms:
        tell(room, options.most, options.seed)


def tell(room: str, most: int, seed: int) -> None:
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files_of(room)}
    for path, tree in list(trees.items())[:1]:
        if noticed((path, ast.unparse(tree)), TESTS[room]):
            print(f"{room}: its tests fail without a change", flush=True)
            return
    places = [(path, place) for path, tree in trees.items() for place in sites(tree)]
    drawn = random.Random(seed).sample(places, min(most, len(places)))
    started, survived = time.monotonic(), 0
    for path, place in drawn:
        code, line, what = mutant(trees[path], place)
        if not noticed((path, code), TESTS[room]):
            survived += 1
            print(f"  survived {path.relative_to(SOURCE)}:{line} {what:.150}", flush=True)
    told = f"{len(drawn) - survived} of {len(drawn)} noticed, of {len(places)} places"
    print(f"{room}: {told}, {time.monotonic() - started:.0f} s", flush=True)


def files_of(room: str) -> list[Path]:
    alone = {"verdict": SOURCE / "verdict.py", "registry": SOURCE / "checks" / "registry.py"}
    return [alone[room]] if room in alone else sorted((SOURCE / room).glob("[!_]*.py"))


def sites(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Yield what can be changed: the number of a node in the walk, and of its operation."""
    annotations = {
        id(inner)
        for node in ast.walk(tree)
        for field in ("annotation", "returns")
        if (annotation := getattr(node, field, None)) is not None
        for inner in ast.walk(annotation)
    }
    texts = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for number, node in enumerate(ast.walk(tree)):
        if id(node) in annotations | texts:
            continue
        if isinstance(node, ast.Compare):
            yield from ((number, at) for at, operation in enumerate(node.ops) if type(operation) in SWAPS)
        elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
            yield from [(number, 0)] if type(node.op) in SWAPS else []
        elif isinstance(node, ast.UnaryOp):
            yield from [(number, 0)] if isinstance(node.op, ast.Not | ast.USub) else []
        elif isinstance(node, ast.Constant):
            yield from [(number, 0)] if isinstance(node.value, int | float) else []
        elif isinstance(node, ast.If | ast.IfExp | ast.While) or (
            isinstance(node, ast.Return) and ast.unparse(node) not in {"return", "return None"}
        ):
            yield number, 0


def mutant(tree: ast.Module, site: tuple[int, int]) -> tuple[str, int, str]:
    """Return the changed source, the line, and what was changed."""
    changed = copy.deepcopy(tree)
    node = list(ast.walk(changed))[site[0]]
    shown = getattr(node, "test", node)
    before = ast.unparse(shown)
    if isinstance(node, ast.Compare):
        node.ops[site[1]] = SWAPS[type(node.ops[site[1]])]()  # type: ignore[assignment]
    elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        node.op = SWAPS[type(node.op)]()  # type: ignore[assignment]
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node.op = ast.UAdd()
    elif isinstance(node, ast.UnaryOp):
        node.operand = ast.UnaryOp(ast.Not(), node.operand)
    elif isinstance(node, ast.Constant):
        assert isinstance(node.value, int | float)
        node.value = not node.value if isinstance(node.value, bool) else node.value + 1
    elif isinstance(node, ast.If | ast.IfExp | ast.While):
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif isinstance(node, ast.Return):
        node.value = ast.Constant(None)
    after = ast.unparse(getattr(node, "test", node))
    line = getattr(node, "lineno", 0)
    return ast.unparse(ast.fix_missing_locations(changed)), line, f"{before} -> {after}"


class Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports other source for one module."""

    def __init__(self, path: Path, code: str) -> None:
        self.path, self.code = path, code
        self.name = ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)

    def find_spec(self, name: str, *_: object) -> object:
        """Find that module."""
        return importlib.util.spec_from_loader(name, self) if name == self.name else None

    def create_module(self, _: object) -> None:
        """Leave it to Python."""

    def exec_module(self, module: ModuleType) -> None:
        """Run the changed source."""
        exec(compile(self.code, str(self.path), "exec"), module.__dict__)


def noticed(change: tuple[Path, str], tests: list[str]) -> bool:
    """Run tests in a forked process, with a file changed; tell whether one failed, or none ended in time."""
    child = os.fork()
    if child == 0:
        os._exit(run(change, tests))
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status != 0
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def run(change: tuple[Path, str], tests: list[str]) -> int:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.meta_path.insert(0, Instead(*change))
    options = ["-x", "-q", "-m", "not slow", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return int(pytest.main([*options, "-p", "no:kerasequiv", *tests]))


if __name__ == "__main__":
    main()
