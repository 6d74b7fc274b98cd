"""Pickling a twin and its plan for a worker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import cloudpickle

from pytest_kerasequiv.building.sources import Source
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.plan import Training


def packed_task(source: Source, plan: Training, side: str) -> bytes:
    """Pickle what a worker needs.

    Raises:
        InputError: something in it cannot be pickled.
    """
    with own_files_by_value():
        return _packed(source, plan, side)


def _packed(source: Source, plan: Training, side: str) -> bytes:
    for what, value in ((f"the {side} {source.label!r}", source), ("the training plan", plan)):
        try:
            cloudpickle.dumps(value)
        except Exception as error:
            if value is plan and plan.feeds:
                raise InputError(
                    f"{' and '.join(plan.feeds)} cannot be shipped to a worker ({type(error).__name__}: "
                    f"{error}); pass a function that makes the data, {next(iter(plan.feeds))}=lambda: ..., "
                    "or train without workers"
                ) from error
            raise InputError(
                f"{what} cannot be shipped to a worker ({type(error).__name__}: {error}); make the builder "
                f"a function of an "
                "importable module that holds no open files, locks or models, or train without workers"
            ) from error
    packed: bytes = cloudpickle.dumps((source, plan, side))
    return packed


@contextmanager
def own_files_by_value() -> Iterator[None]:
    """Ship what lives in test files whole: in pytest's importlib mode a worker cannot import them."""
    modules = [module for module in list(sys.modules.values()) if _only_here(module)]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _only_here(module: ModuleType) -> bool:
    """Tell whether importing a module by its name would not find its file."""
    file, name = getattr(module, "__file__", None), getattr(module, "__name__", "__main__")
    if not file or name == "__main__" or sys.modules.get(name) is not module:
        return False
    if file.startswith((sys.prefix, sys.base_prefix)):  # installed
        return False
    return bool(_found_file(name) != file)


def _found_file(name: str) -> str | None:
    """Return the file that importing ``name`` afresh would load, without importing anything."""
    spec, path = None, None
    parts = name.split(".")
    for depth in range(1, len(parts) + 1):
        whole = ".".join(parts[:depth])
        specs = (finder.find_spec(whole, path) for finder in sys.meta_path)
        spec = next((found for found in specs if found is not None), None)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return spec.origin if spec else None
