"""What is trusted: pickles come from processes of the session's own and its workers, and nothing listens."""

import ast
import functools
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "pytest_kerasequiv"
PICKLES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
LISTENS = {"HTTPServer", "Listener", "create_server", "listen", "serve_forever", "start_server"}
TALK_TO_OWN_PROCESSES = {
    "backends/backend_process.py",
    "backends/backend_serving.py",
    "revision/process.py",
    "revision/serving.py",
    "training/executors/remote.py",
    "training/executors/shipping.py",
}
DIGESTS = {"revision/against.py"}
"""What is pickled there is hashed, and never read."""


@functools.cache
def nodes():
    """Return each node of each file; they are looked through three times."""
    return [
        (str(file.relative_to(SOURCE)), node)
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    ]


def imported(node):
    if isinstance(node, ast.ImportFrom):
        return {(node.module or "").partition(".")[0]}
    return {name.name.partition(".")[0] for name in node.names} if isinstance(node, ast.Import) else set()


def test_only_talk_with_own_processes_and_workers_is_pickled():
    assert {file for file, node in nodes() if imported(node) & PICKLES} == TALK_TO_OWN_PROCESSES | DIGESTS
    loads = {
        file for file, node in nodes() if isinstance(node, ast.Attribute) and node.attr in {"load", "loads"}
    }
    assert not loads & DIGESTS


def test_arrays_are_read_without_pickles():
    given = [
        ast.unparse(node.value)
        for _, node in nodes()
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle"
    ]
    assert set(given) == {"False"}


def test_nothing_listens():
    names = [(file, getattr(node, "attr", getattr(node, "id", ""))) for file, node in nodes()]
    assert [(file, name) for file, name in names if name in LISTENS] == []
