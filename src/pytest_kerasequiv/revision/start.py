"""Where a process of an export begins: it is held to the export's code before anything else is imported."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pytest_kerasequiv.revision.guard import Place, hold
from pytest_kerasequiv.revision.outside import Noted, installed_folders

COMMAND = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from pytest_kerasequiv.revision.start import begin; begin(int(sys.argv[2]))"
)
"""What the interpreter runs; the arguments are the folder of this package and the end of the connection."""


def begin(descriptor: int) -> None:
    """Take the surroundings from the connection, then answer what is asked until it is closed."""
    connection = Connection(descriptor)
    with contextlib.suppress(EOFError):  # the session is over
        told: dict[str, Any] = json.loads(connection.recv_bytes())
        place = Place(**told["place"])
        hold(place, told["path"])
        noted = Noted([place.tree, *place.installed, *installed_folders(), plugin_folder()], os.environ)
        noted.begin()
        serving: Any = importlib.import_module("pytest_kerasequiv.revision.serving")
        serving.Serving(connection, place, noted).run(told["conftests"])


def plugin_folder() -> str:
    """Return the folder that this package is imported from."""
    return str(Path(sys.modules["pytest_kerasequiv"].__file__ or "").parents[1])
