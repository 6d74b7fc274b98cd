"""Finding the model that a string or a path names, with errors that say what to write instead."""

from __future__ import annotations

import importlib
import warnings
import zipfile
from pathlib import Path
from typing import Any

import keras

from pytest_kerasequiv.building.file_contents import refuse_code
from pytest_kerasequiv.errors import InputError, said
from pytest_kerasequiv.keras_access.hdf5_files import load_hdf5
from pytest_kerasequiv.keras_access.random_state import preserved_state

SUFFIXES = (".keras", ".h5", ".hdf5")


def is_import_string(text: str) -> bool:
    """Whether ``text`` is meant as ``"package.module:builder"`` and not as a path."""
    return ":" in text and "/" not in text and "\\" not in text and not text.endswith(SUFFIXES)


def resolve(text: str, argument: str) -> Any:
    """Import what ``"package.module:name"`` names.

    Raises:
        InputError: the module cannot be imported or has no such name.
    """
    __tracebackhide__ = True
    module_name, _, name = text.partition(":")
    if not _is_dotted(module_name) or not _is_dotted(name):
        raise InputError(f"{argument}={text!r} is no import string; write it as 'package.module:builder'")
    try:
        with (
            preserved_state()
        ):  # a module that makes models or draws numbers must not shift what is built next
            found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise InputError(f"{argument}={text!r}: {_why_not_imported(module_name, error)}") from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise InputError(
                f"{argument}={text!r}: module {module_name!r} has no {name!r}{_names_in(found)}; "
                "name a builder or a model that it defines"
            )
        found = getattr(found, part)
    return found


def _is_dotted(name: str) -> bool:
    return bool(name) and all(part.isidentifier() for part in name.split("."))


def _why_not_imported(module: str, error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name and (f"{module}.").startswith(f"{error.name}."):
        return (
            f"there is no module {error.name!r} on sys.path; install the package, or add its folder to the "
            "ini option pythonpath"
        )
    if isinstance(error, SyntaxError):
        return f"module {module!r} has a syntax error in line {error.lineno} of {error.filename}: {error.msg}"
    return f"importing module {module!r} raised {type(error).__name__}: {said(error)}"


def _names_in(module: Any) -> str:
    names = [
        name
        for name, value in vars(module).items()
        if callable(value)
        and getattr(value, "__module__", None) == getattr(module, "__name__", "")
        and name[0] != "_"
    ]
    return f" (it defines {', '.join(sorted(names)[:8])})" if names else ""


def check_path(path: Path, argument: str) -> None:
    """Check what can be told without Keras.

    Raises:
        InputError: a suffix that is no model's.
    """
    __tracebackhide__ = True
    if path.name.endswith(".weights.h5"):
        raise InputError(
            f"{argument}={str(path)!r} holds weights only, no architecture; save the whole model with "
            "model.save('name.keras'), or pass a builder that loads the weights"
        )
    if path.suffix not in SUFFIXES:
        raise InputError(
            f"{argument}={str(path)!r} is neither a file ending in .keras or .h5 nor an import string like "
            "'package.module:builder'; pass one of these, a builder or a keras.Model"
        )


def load(path: Path, argument: str) -> keras.Model:
    """Load a model file with Keras's safe mode on.

    Raises:
        InputError: the file is missing, damaged, holds a Lambda, or needs a class that is not registered.
    """
    if not path.is_file():
        raise InputError(f"{argument}={str(path)!r}: there is no such file (looked in {Path.cwd()})")
    if path.suffix == ".keras" and not zipfile.is_zipfile(path):
        raise InputError(
            f"{argument}={str(path)!r} is no complete .keras file ({path.stat().st_size} bytes, its zip "
            "directory is missing): it is truncated or of another format; save or copy it again"
        )
    refuse_code(path, argument)
    try:
        if path.suffix != ".keras":
            return load_hdf5(path)
        with warnings.catch_warnings():
            # the optimizer's own state is not kept: each twin gets a fresh one
            warnings.filterwarnings("ignore", message="Skipping variable loading for optimizer")
            return keras.models.load_model(path, safe_mode=True)
    except Exception as error:
        raise InputError(f"{argument}={str(path)!r} cannot be loaded: {_why_not_loaded(error)}") from error


def _why_not_loaded(error: Exception) -> str:
    text = str(error)
    if "custom_objects" in text or "register_keras_serializable" in text:
        return (
            f"{said(error)}. Register the class with @keras.saving.register_keras_serializable() and "
            "import its module first, or pass a builder that loads the file with custom_objects"
        )
    return f"{type(error).__name__}: {said(error)}. Save it again, or pass a builder that loads it"
