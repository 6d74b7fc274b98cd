"""Where a process of another backend begins: it finds modules as the session does, then answers."""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

COMMAND = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from pytest_kerasequiv.backends.backend_start import begin; begin(int(sys.argv[2]))"
)
"""What the interpreter runs; the arguments are the folder of this package and the end of the connection."""


def begin(descriptor: int) -> None:
    """Take the session's ``sys.path`` from the connection, then answer what is asked until it is closed."""
    connection = Connection(descriptor)
    with contextlib.suppress(EOFError):  # the session is over
        sys.path[:] = json.loads(connection.recv_bytes())
        serving: Any = importlib.import_module("pytest_kerasequiv.backends.backend_serving")
        serving.serve(connection)


def plugin_folder() -> str:
    """Return the folder that this package is imported from."""
    return str(Path(__file__).parents[2])
