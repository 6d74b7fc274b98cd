"""What Python runs first in each process that a test starts: importing Keras takes a third less there."""

import gc
import sys
from importlib.abc import MetaPathFinder
from typing import Any

UNUSED = {"matplotlib.pyplot", "pandas", "sklearn"}
"""What Keras imports, if it is there, for what no such process uses."""


class WithoutUnused(MetaPathFinder):
    """Finds nothing; once Keras is imported, it says that there is nothing of the `UNUSED`."""

    def find_spec(self, fullname: str, *_: Any) -> None:
        if fullname in UNUSED and "keras" in sys.modules:
            raise ModuleNotFoundError(f"{fullname} is not needed here", name=fullname)


gc.set_threshold(10_000)  # what is imported stays: looking for garbage in it is in vain
sys.meta_path.insert(0, WithoutUnused())
