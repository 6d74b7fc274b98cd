"""What Python runs first in each process that a test starts: importing Keras takes a quarter less there."""

import gc
import sys
from typing import Any

gc.set_threshold(10_000)  # what is imported stays: looking for garbage in it is in vain
modules: dict[str, Any] = sys.modules
modules["sklearn"] = None  # not to be imported: Keras does for its wrappers, which no such process uses
