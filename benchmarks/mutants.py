"""Mutation testing: small changes to the source, each of which some test should notice.

    python -P benchmarks/mutants.py --most 30 --seed 0 [statistics surface weights verdict registry]

The room's tests run once as they are, and what each runs of the room is noted. Then so many places are
drawn at random; each is changed (a comparison, an operation, a constant, a condition, what is returned) and
the tests of that place run in a forked process, whose TensorFlow is loaded already: those of its line
first, quick ones before slow ones, then those of its function and their neighbours. Prints what survived:
it is killed by a better test, or explained in docs/internals.md.

The places of one seed have one order, so that a long run can be cut: ``--minutes 8`` says how to go on, with
``--skip``. ``--at surface/probes.py:120`` tries all places of one line.
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT / "src")  # this folder has a statistics.py of its own

import keras  # noqa: E402, F401 - loaded once, before the forks
import pytest  # noqa: E402

SOURCE = ROOT / "src" / "pytest_kerasequiv"
PATIENCE = 60.0, 10.0
"""Seconds that the tests of a mutant may take, and how often those that they took before the change; one that
hangs is noticed."""

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


Place = tuple[Path, tuple[int, int]]
"""A file, and what can be changed in it, see `sites`."""


@dataclass
class Seen:
    """What a test ran of a room.

    Attributes:
        seconds: how long the test took.
        lines: by file, the lines.
    """

    seconds: float = 0.0
    lines: dict[str, list[int]] = field(default_factory=dict)

    def within(self, path: Path, first: int, last: int) -> bool:
        """Tell whether a line from the first to the last was run."""
        return any(first <= line <= last for line in self.lines.get(str(path), ()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="*", default=list(TESTS))
    parser.add_argument("--most", type=int, default=30, help="places tried in each room")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip", type=int, default=0, help="places of this seed that were tried before")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="when to stop in each room")
    parser.add_argument("--at", default=[], action="append", help="room/file.py:line, not drawn")
    options = parser.parse_args()
    os.chdir(ROOT)
    for room in options.rooms:
        trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in files_of(room)}
        places = [(path, place) for path, tree in trees.items() for place in sites(tree)]
        if options.at:
            drawn = [one for one in places if named(one, trees) in options.at]
        else:
            drawn = random.Random(options.seed).sample(places, len(places))
            drawn = drawn[options.skip : options.skip + options.most]
        started = time.monotonic()
        tried, survived = tell(room, trees, drawn, started + 60 * options.minutes)
        print(f"{room}: {tried - survived} of {tried} noticed, of {len(places)} places", flush=True)
        if tried < len(drawn):
            print(f"  go on with --skip {options.skip + tried}", flush=True)


def named(place: Place, trees: dict[Path, ast.Module]) -> str:
    path, site = place
    return f"{path.relative_to(SOURCE)}:{mutant(trees[path], site)[1]}"


def tell(room: str, trees: dict[Path, ast.Module], drawn: list[Place], until: float) -> tuple[int, int]:
    """Try places, print what survives, and return how many were tried and how many survived."""
    started, survived, tried = time.monotonic(), 0, 0
    seen = what_tests_run(TESTS[room], list(trees))
    if seen is None:
        sys.exit(f"{room}: its tests fail without a change")
    print(f"{room}: {len(seen)} tests in {time.monotonic() - started:.0f} s", flush=True)
    for path, place in drawn:
        if time.monotonic() > until:
            break
        code, line, what = mutant(trees[path], place)
        tests = tests_of(path, trees[path], line, seen)
        tried += 1
        if not noticed((path, code), tests, sum(seen[name].seconds for name in tests)):
            survived += 1
            print(f"  survived {path.relative_to(SOURCE)}:{line} {what:.150}", flush=True)
    return tried, survived


def tests_of(path: Path, tree: ast.Module, line: int, seen: dict[str, Seen]) -> list[str]:
    """Return the tests to run, in order: of the line, of its function, then the others of their files."""
    first, last = function_of(tree, line)
    near = {name for name, one in seen.items() if one.within(path, first, last)}
    files = {name.split("::")[0] for name in near or seen}
    chosen = [name for name in seen if name.split("::")[0] in files]
    return sorted(
        chosen,
        key=lambda name: (not seen[name].within(path, line, line), name not in near, seen[name].seconds),
    )


def function_of(tree: ast.Module, line: int) -> tuple[int, int]:
    """Return the first and last line of the innermost function around a line, or of the file."""
    around = [
        (node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.body[0].lineno <= line <= (node.end_lineno or 0)
    ]
    return max(around, default=(1, sys.maxsize))


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
    texts |= {id(inner) for node in ast.walk(tree) for inner in _of_no_matter(node)}
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


def _of_no_matter(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what only guards or repeats: decorators, ``strict=``, ``return False`` beside its constant."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        yield from (inner for one in node.decorator_list for inner in ast.walk(one))
    elif isinstance(node, ast.keyword) and node.arg == "strict":
        yield node.value
    elif isinstance(node, ast.Return) and isinstance(node.value, ast.Constant):
        yield node


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


class Watch:
    """A plugin of pytest: notes which lines of some files each test runs."""

    def __init__(self, files: list[Path]) -> None:
        self.files = set(map(str, files))
        self.seen: dict[str, Seen] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Watch a test, its fixtures included."""
        lines: set[tuple[str, int]] = set()

        def trace(frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
            if frame.f_code.co_filename not in self.files:
                return None
            if event == "line":
                lines.add((frame.f_code.co_filename, frame.f_lineno))
            return trace

        started = time.monotonic()
        sys.settrace(trace)
        try:
            return (yield)
        finally:
            sys.settrace(None)
            one = self.seen.setdefault(item.nodeid, Seen())
            one.seconds += time.monotonic() - started
            for path, line in lines:
                one.lines.setdefault(path, []).append(line)


class Only:
    """A plugin of pytest: runs some tests, in their order."""

    def __init__(self, names: list[str]) -> None:
        self.order = {name: place for place, name in enumerate(names)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Select and sort."""
        items[:] = sorted(
            (item for item in items if item.nodeid in self.order), key=lambda item: self.order[item.nodeid]
        )


def what_tests_run(tests: list[str], files: list[Path]) -> dict[str, Seen] | None:
    """Run tests in a forked process and return what each runs; ``None`` where one fails.

    Libraries that they import are imported here too, so that the next forks have them.
    """
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "told.json"

        def watched() -> int:
            watch = Watch(files)
            status = run([watch], tests)
            seen = {name: vars(one) for name, one in watch.seen.items()}
            told.write_text(json.dumps({"seen": seen, "modules": list(sys.modules)}))
            return status

        if forked(watched, float("inf")):
            return None
        found = json.loads(told.read_text())
    for name in found["modules"]:
        if name.split(".")[0] not in {"pytest_kerasequiv", "tests", "test_", "conftest", "__main__"}:
            with suppress(Exception):
                importlib.import_module(name)
    return {name: Seen(**one) for name, one in found["seen"].items()}


def noticed(change: tuple[Path, str], tests: list[str], seconds: float) -> bool:
    """Run tests in a forked process, with a file changed; tell whether one failed, or none ended in time."""

    def changed() -> int:
        sys.meta_path.insert(0, Instead(*change))
        return run([Only(tests)], list(dict.fromkeys(name.split("::")[0] for name in tests)))

    return forked(changed, PATIENCE[0] + PATIENCE[1] * seconds) != 0


def forked(work: Callable[[], int], seconds: float) -> int:
    """Do work in a forked process and return its status; one that takes longer than ``seconds`` is ended."""
    child = os.fork()
    if child == 0:
        os._exit(work())
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def run(plugins: list[object], tests: list[str]) -> int:
    """Run tests, of which nothing is printed, until one fails."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    options = ["-x", "-q", "-m", "not slow", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist"]
    return int(pytest.main([*options, "-p", "no:kerasequiv", *tests], plugins=plugins))


if __name__ == "__main__":
    main()
