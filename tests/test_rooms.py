"""Rooms import only rooms below, nothing imports in circles, imports stand at the top of the file."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "pytest_kerasequiv"
OPTIONAL = {"distributed"}
"""What an extra installs: imported where it is asked for."""


def test_the_contracts_of_imports_are_kept():
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def files():
    every = sorted(SOURCE.rglob("*.py"))
    return [f for f in every if f.relative_to(SOURCE).parts[0] not in {"plugin", "__init__.py"}]


@pytest.mark.parametrize("file", files(), ids=lambda file: str(file.relative_to(SOURCE)))
def test_below_the_plugin_imports_stand_at_the_top_of_the_file(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)]
    deferred = [n for n in imports if n not in tree.body and _package(n) not in OPTIONAL]
    assert [ast.unparse(node) for node in deferred] == []


def _package(node):
    name = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
    return name.partition(".")[0]


PUBLIC = {"_fields", "_replace", "_getframe", "_exit", "_max_workers"}
"""Names of the standard library that begin with ``_`` and are documented, or asked for with care."""


def own_names():
    """Names beginning with ``_`` that the package itself gives: methods, attributes of ``self``."""
    found = set()
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                found.add(node.name)
            elif isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"self", "cls"}:
                found.add(node.attr)
    return found


def looked_up(tree):
    """Yield the names that are looked up on other objects than ``self``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) not in {"self", "cls"}:
            yield node.attr
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"getattr", "hasattr", "setattr"}:
            yield from (one.value for one in node.args[1:2] if isinstance(one, ast.Constant))


def test_only_keras_access_touches_private_names_of_keras_and_tensorflow():
    known, found = own_names() | PUBLIC, set()
    for file in SOURCE.rglob("*.py"):
        room = file.relative_to(SOURCE).parts[0]
        if room != "keras_access":
            text = file.read_text(encoding="utf-8")
            private = {name for name in looked_up(ast.parse(text)) if re.match("_(?!_|kerasequiv)", name)}
            private |= set(
                re.findall(r"^(?:from|import) (?:keras\.src|tensorflow\.python)\S*", text, re.MULTILINE)
            )
            found |= {(str(file.relative_to(SOURCE)), name) for name in private - known}
    assert sorted(found) == []


def test_no_two_files_have_one_name():
    names = [f.stem for f in sorted(SOURCE.rglob("*.py")) if f.stem not in {"__init__", "__main__"}]
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_statistics_need_no_keras():
    code = (
        "import sys, pytest_kerasequiv.statistics.decision; print({'keras', 'tensorflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
