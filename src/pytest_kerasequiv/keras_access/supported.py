"""Which Keras and TensorFlow are supported: asked before anything else of either is touched."""

from __future__ import annotations

import importlib
import os
import re
import sys
from typing import Any

from pytest_kerasequiv.errors import InputError, said

TENSORFLOW = (2, 19)
KERAS = (3, 9, 2)
"""The oldest versions on which the test suite passed; see docs/versions.md."""

ASKED = "pytest-kerasequiv compares Keras models under TensorFlow"

DESCRIBED = ("jax", "torch")
"""Backends on which models can be built and described, though not measured."""

OBSERVING = "KERASEQUIV_OBSERVES"
"""Set in the environment of a process that observes models on another backend, for one on TensorFlow."""


def require_keras() -> None:
    """Refuse, in one sentence, a Python without a TensorFlow and a Keras that are supported.

    Raises:
        InputError: one of them is missing, too old, or Keras runs on a backend that is not known.
    """
    reason = why_not(_imported("tensorflow"), _imported("keras"))
    if reason:
        raise InputError(reason)


def why_not(tensorflow: Any, keras: Any) -> str | None:
    """Return why these modules cannot be used, ``None`` where they can.

    Args:
        tensorflow: the module, or the error that importing it raised.
        keras: likewise.
    """
    for name, module in (("TensorFlow", tensorflow), ("Keras", keras)):
        if isinstance(module, ImportError):
            return (
                f"{ASKED}, but {name} cannot be imported here ({said(module)}); install it: "
                'pip install "pytest-kerasequiv[tensorflow]", or the build for your machine (tensorflow-cpu)'
            )
    found = f"TensorFlow {tensorflow.__version__} and Keras {keras.__version__}"
    if is_before(tensorflow, *TENSORFLOW) or is_before(keras, *KERAS):
        return (
            f"{ASKED} {_dotted(TENSORFLOW)} and Keras {_dotted(KERAS)} or newer, and finds {found}; upgrade "
            'them: pip install -U "tensorflow" "keras>=3"'
        )
    backend = keras.config.backend()
    return None if backend in {"tensorflow", *DESCRIBED} else _runs_on(backend)


def other_backend() -> str | None:
    """Return the backend on which Keras runs in a session, where it is not TensorFlow; else ``None``."""
    backend: str = sys.modules["keras"].config.backend()
    return None if backend in {"tensorflow", os.environ.get(OBSERVING)} else backend


def require_tensorflow(what: str) -> None:
    """Refuse what needs models that run on TensorFlow.

    Args:
        what: what is asked for, as in the call.

    Raises:
        InputError: Keras runs on another backend.
    """
    backend = other_backend()
    if backend is not None:
        raise InputError(f"{what}: {_runs_on(backend)}")


def _runs_on(backend: str) -> str:
    return (
        f"{ASKED}, and Keras runs on {backend} here, where no float64 model can serve as a measure; set "
        "KERAS_BACKEND=tensorflow for the tests that compare models"
    )


def versions() -> dict[str, str]:
    """Return the versions that numbers depend on, by the modules' names."""
    return {name: sys.modules[name].__version__ for name in ("keras", "tensorflow", "numpy", "scipy")}


def is_before(module: Any, *version: int) -> bool:
    """Tell whether TensorFlow or Keras is older than a version; the version switches ask it."""
    return _numbers(module.__version__) < version


def _imported(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        return error


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers: of ``"2.21.0-dev20260101"`` (2, 21, 0)."""
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
