"""The size of the house: ``python benchmarks/house.py``.

Counts lines and files, files that one other file imports, imports inside functions (below the plugin's edge
there are none), and the files with a function that one ``assert_same_outputs`` of the fixture calls; times
the imports in CPU seconds.
"""

from __future__ import annotations

import ast
import os
import resource
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src"
TEST = """
import pathlib, sys
import keras
import pytest_kerasequiv.comparison
import pytest_kerasequiv.plugin.twins_under_test

def sequential():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(1)])

def functional():
    inputs = keras.Input((4,))
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(3, "relu")(inputs)))

def test_it(keras_twins):
    passed = set()
    def note(frame, event, arg):
        if event == "call" and frame.f_code.co_name != "<module>":
            passed.add(frame.f_code.co_filename)
    sys.setprofile(note)
    keras_twins(sequential, functional).assert_same_outputs()
    sys.setprofile(None)
    pathlib.Path("passed").write_text("\\n".join(passed))
"""


def main() -> None:
    files = {module_of(path): path for path in sorted((SOURCE / "pytest_kerasequiv").rglob("*.py"))}
    texts = {name: path.read_text(encoding="utf-8") for name, path in files.items()}
    trees = {name: ast.parse(text) for name, text in texts.items()}
    print(f"{sum(len(text.splitlines()) for text in texts.values())} lines in {len(files)} files")
    ones = [name for name, users in importers(trees).items() if len(users) == 1]
    ones = [name for name in ones if files[name].name != "__init__.py"]
    small = [name for name in ones if len(texts[name].splitlines()) < 60]
    print(f"{len(ones)} files with one importer, {len(small)} of them under 60 lines")
    print(f"{sum(map(deferred, trees.values()))} imports inside functions")
    passed = passed_through()
    print(f"{len(passed)} files that one assert_same_outputs passes through, from fixture to verdict")
    keras, all_of_it = (cpu_of(f"import {what}") for what in ("keras", "pytest_kerasequiv.comparing"))
    light = cpu_of("import pytest_kerasequiv") - cpu_of("pass")
    print(
        f"{light:.3f} s to import the package, {all_of_it:.1f} s what compares; {keras:.1f} s of these Keras"
    )


def module_of(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def importers(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Return which files import each file."""
    found: dict[str, set[str]] = defaultdict(set)
    for user, tree in trees.items():
        for node in ast.walk(tree):
            for name in imported(node):
                if name in trees:
                    found[name].add(user)
    return found


def imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def deferred(tree: ast.Module) -> int:
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    within = {id(n) for f in functions for n in ast.walk(f) if isinstance(n, ast.Import | ast.ImportFrom)}
    return len(within)


def passed_through() -> set[str]:
    """Return the files of the package with a function that one check of the fixture calls."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_it.py").write_text(TEST)
        run("-m", "pytest", "-q", "-p", "no:cacheprovider", folder=folder)
        seen = (folder / "passed").read_text().splitlines()
    return {one for one in seen if one.startswith(str(SOURCE))}


def cpu_of(code: str) -> float:
    """Return the CPU seconds of a process, the least of three."""
    return min(run("-c", code) for _ in range(3))


def run(*command: str, folder: Path | None = None) -> float:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "TF_CPP_MIN_LOG_LEVEL": "3"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *command], cwd=folder, env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
