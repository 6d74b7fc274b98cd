"""Twins declared in a ``pyproject.toml``: reading and checking the declaration, before anything is built."""

from __future__ import annotations

import difflib
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv import arguments
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.plugin.recordings import recording_beside

if TYPE_CHECKING:
    from pytest_kerasequiv.building.twins import Twins
    from pytest_kerasequiv.training.plan import Training

TRAINING_KEYS = (
    "epochs",
    "batch_size",
    "shuffle",
    "seeds",
    "metrics",
    "margin",
    "alpha",
    "paired",
    "engine",
    "observed",
    "class_weight",
    "callbacks",
    "validation_split",
    "validation_steps",
    "steps_per_epoch",
)

TYPES: Mapping[str, tuple[tuple[type, ...], str]] = {
    "name": ((str,), "a string"),
    "reference": ((str,), "a string: 'package.module:builder' or the path of a model file"),
    "candidate": ((str,), "a string: 'package.module:builder' or the path of a model file"),
    "recording": ((str,), "a string: the name of a recording, which is the reference"),
    "input_shape": ((list, dict), "a list of sizes without the batch axis, or a list or table of these"),
    "compile": ((dict,), "a table of arguments for Model.compile"),
    "weights": ((str,), "'auto', 'copy' or 'own'"),
    "backend": ((str,), "'tensorflow', 'jax' or 'torch': what the candidate runs on"),
    "was": ((str, dict), "the builder's name at another revision, or a table of these per side"),
    "checks": ((list, str), 'a list of names of checks, or "all"'),
    "timeout": ((int, float), "seconds"),
    "accept": ((list,), "a list of patterns of differences that are meant, such as 'clip.*'"),
    "data": ((str,), "a string 'package.module:function'"),
    "epochs": ((int,), "a whole number"),
    "batch_size": ((int,), "a whole number"),
    "shuffle": ((bool,), "true or false"),
    "seeds": ((int, list), "a whole number, or a list of these"),
    "metrics": ((list,), "a list of names of metrics"),
    "margin": ((int, float, str, dict), 'a number, "10%", "0.5sd", or a table of these per metric'),
    "alpha": ((int, float), "a number"),
    "paired": ((bool,), "true or false"),
    "engine": ((str,), "'auto', 'fit' or 'vectorized'"),
    "class_weight": ((dict,), "a table of classes and their weights, such as { 0 = 1.0, 1 = 5.0 }"),
    "callbacks": ((str,), "a string: 'package.module:function', which returns the callbacks of one run"),
    "validation_split": ((int, float), "a share of the samples"),
    "validation_steps": ((int,), "a whole number"),
    "steps_per_epoch": ((int,), "a whole number"),
    "observed": (
        (dict,),
        "a table of metrics, each with the two values that you saw, such as mae = [3.96, 4.49]",
    ),
}

HOW: Mapping[str, Callable[[Any], Any]] = {"accept": arguments.accept, "timeout": arguments.timeout}
"""Keys that say how the pair is compared, and what reads each."""

TABLE_HEADER = re.compile(rb"^[ \t]*\[+[ \t]*tool[ \t]*\.[ \t]*kerasequiv[ \t]*\.[ \t]*twins\b", re.MULTILINE)


@dataclass(frozen=True)
class DeclaredPair:
    """One table of ``[[tool.kerasequiv.twins]]``, checked.

    Attributes:
        name: name of the pair.
        line: line of the declaration in its file, from 0.
        twins: the pair, not built yet: `Twins`, or a builder and what it was.
        checks: names of the checks to run, cheap to dear.
        full: whether they run even where the answer is known: the declaration names them.
        how: arguments of the pair's `Comparison`: what is accepted, its limit of time.
        plan: makes the plan of its repeated training, loading its data; ``None`` where there is none.
        entry: the table.
        places: side -> its builder, or the path of its file.
    """

    name: str
    line: int
    twins: Any
    checks: tuple[str, ...]
    full: bool
    how: Mapping[str, Any]
    plan: Callable[[], Training] | None
    entry: Mapping[str, Any]
    places: Mapping[str, str]


def declares_twins(path: Path) -> bool:
    """Tell, without complaining, whether a ``pyproject.toml`` has a table for this plugin.

    One that cannot be read has, where it seems to: what is wrong with it is told when it is collected.
    """
    try:
        content = path.read_bytes()
    except OSError:
        return False
    if b"kerasequiv" not in content:
        return False
    try:
        tool = tomllib.loads(content.decode()).get("tool")
    except ValueError:  # no TOML, or no UTF-8
        return TABLE_HEADER.search(content) is not None
    return isinstance(tool, Mapping) and "kerasequiv" in tool


def read_pairs(path: Path) -> list[DeclaredPair]:
    """Read and check the declared pairs; what they name is imported from the file's folder, nothing is built.

    Raises:
        InputError: an unknown key, a wrong type, a name that does not resolve; with file, pair and key.
    """
    text = path.read_text(encoding="utf-8")
    table = tomllib.loads(text)["tool"]["kerasequiv"]
    if not isinstance(table, Mapping):
        raise InputError(f"{path}: key 'tool.kerasequiv' is {table!r}; write [[tool.kerasequiv.twins]]")
    _refuse_unknown(table, ("twins",), f"{path}: [tool.kerasequiv]")
    tables = table.get("twins", [])
    if not isinstance(tables, list) or not all(isinstance(entry, dict) for entry in tables):
        raise InputError(f"{path}: key 'twins' must be an array of tables; write [[tool.kerasequiv.twins]]")
    if str(path.parent) not in sys.path:
        sys.path.insert(0, str(path.parent))
    names = [_name(entry, f"{path}: pair number {number}") for number, entry in enumerate(tables, 1)]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{path}: two pairs have the name {name!r} (key 'name'); give each its own")
    return [_pair(entry, path, _line_of(text, name)) for entry, name in zip(tables, names, strict=True)]


def _name(entry: Mapping[str, Any], where: str) -> str:
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip() or "::" in name:
        raise InputError(
            f"{where}: key 'name' is {name!r}; give the pair a name, for example name = \"forecaster\""
        )
    return name


def _line_of(text: str, name: str) -> int:
    lines = text.splitlines()
    found = [i for i, line in enumerate(lines) if line.split("=")[0].strip() == "name" and name in line]
    return found[-1] if found else 0


def _pair(entry: Mapping[str, Any], path: Path, line: int) -> DeclaredPair:
    from pytest_kerasequiv.checks.ladder import asked_checks

    where = f"{path}: pair {entry['name']!r}"
    _refuse_unknown(entry, tuple(TYPES), where)
    for key, value in entry.items():
        _check_type(key, value, where)
    _check_recording(entry, where)
    if "reference" not in entry and "recording" not in entry:
        raise InputError(
            f"{where}: key 'reference' is missing; name a builder, for example 'package.module:builder'"
        )
    try:
        sides = {side: _side(entry[side], side, path) for side in ("reference", "candidate") if side in entry}
        if "recording" in entry:
            sides["reference"] = str(recording_beside(path, entry["recording"]))
        checked, make_plan = _plan(entry, path) or (None, None)
        checks = asked_checks(entry.get("checks"), checked)
        how = {name: read(entry[name]) for name, read in HOW.items() if name in entry}
        twins = _twins(entry, sides)
        full = "checks" in entry
        return DeclaredPair(entry["name"], line, twins, checks, full, how, make_plan, entry, sides)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _check_recording(entry: Mapping[str, Any], where: str) -> None:
    """Refuse a recording beside another reference, or without what is compared with it."""
    if "recording" not in entry:
        return
    if "reference" in entry:
        raise InputError(f"{where}: keys 'reference' and 'recording' both name the reference; leave one away")
    if "candidate" not in entry:
        raise InputError(f"{where}: key 'recording' needs key 'candidate', what is compared with it")


def _refuse_unknown(entry: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in entry:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(known)}"
            raise InputError(f"{where}: key {key!r} is unknown; {hint}")


def _check_type(key: str, value: Any, where: str) -> None:
    types, meant = TYPES[key]
    if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
        raise InputError(f"{where}: key {key!r} is {value!r}; it must be {meant}")


def _side(text: str, key: str, path: Path) -> str:
    """Return an import string that resolves, or the absolute path of a file that is there."""
    from pytest_kerasequiv.building.locate import check_path, is_import_string, resolve

    if is_import_string(text):
        resolve(text, key)
        _refuse_stranger(text, key, path)
        return text
    file = path.parent / text
    check_path(file, key)
    if not file.is_file():
        raise InputError(f"{key}={text!r}: there is no such file in {path.parent}")
    return str(file)


def _refuse_stranger(text: str, key: str, path: Path) -> None:
    """Refuse a module that another folder's of the same name has come before: it is not what was declared.

    Raises:
        InputError: the module that was imported is not the one beside the declaration.
    """
    package = text.partition(":")[0].partition(".")[0]
    own = [path.parent / f"{package}.py", path.parent / package / "__init__.py"]
    imported = getattr(sys.modules.get(package), "__file__", None)
    if imported is None or not any(file.is_file() for file in own):
        return
    if not any(file.is_file() and file.samefile(imported) for file in own):
        raise InputError(
            f"{key}={text!r}: the module {package!r} beside this file is hidden by {imported}, which was "
            "imported before; give the modules names of their own, or run each folder in its own session"
        )


def _twins(entry: Mapping[str, Any], sides: Mapping[str, str]) -> Twins:
    from pytest_kerasequiv.building.twins import Twins

    keys = ("name", "input_shape", "compile", "weights", "backend")
    return Twins(
        sides["reference"], sides.get("candidate"), **{key: entry[key] for key in keys if key in entry}
    )


def _plan(entry: Mapping[str, Any], path: Path) -> tuple[Training, Callable[[], Training]] | None:
    """Return the plan on stand-in data, to check its settings, and what makes the real plan."""
    settings = {key: entry[key] for key in TRAINING_KEYS if key in entry}
    if "data" not in entry:
        for key in settings:
            raise InputError(f"key {key!r} belongs to repeated training, which needs key 'data' too")
        return None
    import numpy as np

    from pytest_kerasequiv.building.locate import resolve
    from pytest_kerasequiv.training.data import both_splits
    from pytest_kerasequiv.training.plan import Training

    load = resolve(entry["data"], "data")
    _refuse_stranger(entry["data"], "data", path)
    if not callable(load):
        raise InputError(f"data={entry['data']!r} names {load!r:.60}; name a function that returns the data")
    stand_in = np.zeros((1, 1))
    checked = Training((stand_in, stand_in), (stand_in, stand_in), **settings)
    return checked, lambda: Training(*both_splits(load(), entry["data"]), **settings)
