"""What the command line, a folder's conftest and the ini file say about equivalence checks."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from pytest_kerasequiv import arguments
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.plugin.options import enabled, everything, given

FOLDER_SETTINGS = ("seeds", "margin", "alpha", "engine", "rtol", "atol", "timeout")
"""What `Settings.with_defaults` can set for the tests of a folder."""


@dataclass(frozen=True)
class Settings:
    """The settings that a test's equivalence checks run under.

    Attributes:
        enabled: ``--kerasequiv`` was given: repeated training runs, the section is printed, the gate is shut.
        seeds: seeds of a `Training` that sets none; ``None`` leaves it to `Training`.
        margin: its margin, where it sets none.
        alpha: its error rate, where it sets none.
        engine: its engine, where it sets none.
        inconclusive: ``"fail"`` or ``"warn"``, what INCONCLUSIVE does to a test.
        report: folder of the written reports, ``None`` for none.
        workers: where trainings run: a number of processes or the address of a Dask scheduler.
        cache: whether finished runs are kept for the next session.
        all: whether every check is run even where the answer is known.
        against: the git revision to compare builders with, ``None`` for none.
        rtol: relative tolerance of the numeric checks; ``None`` derives it from the model.
        atol: absolute tolerance, likewise.
        timeout: seconds that building, checking and training one pair may take; ``None`` sets no limit.
        given: names of the settings that the command line gave, which `with_defaults` leaves alone.
    """

    enabled: bool = False
    seeds: int | None = None
    margin: float | str | None = None
    alpha: float | None = None
    engine: str | None = None
    inconclusive: str = "fail"
    report: Path | None = None
    workers: int | str | None = None
    cache: bool = True
    all: bool = False
    against: str | None = None
    rtol: float | None = None
    atol: float | None = None
    timeout: float | None = None
    given: frozenset[str] = field(default=frozenset(), repr=False)

    def with_defaults(self, **values: Any) -> Settings:
        """Return the settings with other defaults for a folder; what the command line gave stays.

        Args:
            **values: any of seeds, margin, alpha, engine, rtol, atol and timeout.

        Raises:
            InputError: another name.
        """
        unknown = [name for name in values if name not in FOLDER_SETTINGS]
        if unknown:
            raise InputError(
                f"with_defaults({unknown[0]}={values[unknown[0]]!r}) cannot be set for a folder; "
                f"choose from {', '.join(FOLDER_SETTINGS)}"
            )
        return replace(self, **{name: value for name, value in values.items() if name not in self.given})

    @property
    def header(self) -> str:
        """The line at the top of a session."""
        values = "".join(f", {name} {value}" for name, value in self.training_defaults.items())
        return f"kerasequiv: repeated training on{values}, INCONCLUSIVE {self.inconclusive}s"

    @property
    def shown(self) -> dict[str, Any]:
        """What a report tells of the settings."""
        of_training = ("seeds", "margin", "alpha", "engine")
        others = ("inconclusive", "workers", "cache", "all", "timeout", "against")
        names = ("enabled", *of_training, *others)
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}

    @property
    def training_defaults(self) -> dict[str, Any]:
        """The settings that a `Training` takes where it does not say itself."""
        values = {name: getattr(self, name) for name in ("seeds", "margin", "alpha", "engine")}
        return {name: value for name, value in values.items() if value is not None}


def shortened(text: str) -> str:
    """Return the beginning of what somebody typed, for a message."""
    return text if len(text) <= 40 else f"{text[:40]}..."


def read_seeds(text: str) -> int:
    """Read a number of seeds, two at least."""
    if not re.fullmatch(r"\d{1,6}", text.strip()) or int(text) < 2:
        raise InputError(
            f"{shortened(text)!r} is no number of seeds; give a whole number of at least 2, for example 20"
        )
    return int(text)


def read_margin(text: str) -> float | str:
    """Read a margin: a positive number, a percentage of the reference's mean or a multiple of its sd."""
    from pytest_kerasequiv.statistics.margin import parse_margin

    margin = parse_margin(text)
    return margin.size if margin.kind == "absolute" else text.strip()


def read_alpha(text: str) -> float:
    """Read an error rate between 0 and 0.5."""
    try:
        return arguments.alpha(float(text))
    except ValueError:
        return arguments.alpha(text)


def read_timeout(text: str) -> float | None:
    """Read a limit of time in seconds."""
    try:
        return arguments.timeout(float(text))
    except ValueError:
        return arguments.timeout(shortened(text))


def read_workers(text: str) -> int | str:
    """Read a number of processes or the address of a Dask scheduler."""
    if re.fullmatch(r"\d+", text.strip()) and int(text) > 0:
        return int(text)
    if re.fullmatch(r"(tcp|tls|ucx|ws|wss|inproc)://\S+", text.strip()):
        return text.strip()
    raise InputError(
        f"{text!r} names no workers; give a number of processes or tcp://host:port of a scheduler"
    )


def one_of(*choices: str) -> Callable[[str], str]:
    """Return a reader that takes one of the given words."""

    def read(text: str) -> str:
        if text.strip() not in choices:
            raise InputError(f"{text!r} is unknown; choose {' or '.join(choices)}")
        return text.strip()

    return read


READERS: Mapping[str, Callable[[str], Any]] = {
    "seeds": read_seeds,
    "margin": read_margin,
    "alpha": read_alpha,
    "engine": lambda text: arguments.engine(text.strip()),
    "inconclusive": one_of("fail", "warn"),
    "timeout": read_timeout,
    "report": Path,
    "workers": read_workers,
    "against": str.strip,
}
"""How the text of each option is read."""


def read_settings(config: pytest.Config) -> Settings:
    """Read the settings: the command line first, then the ini file.

    Raises:
        pytest.UsageError: a value that cannot be used, with the option, the value and the remedy.
    """
    values: dict[str, Any] = {"enabled": enabled(config), "cache": not config.option.kerasequiv_no_cache}
    values["all"] = everything(config)
    on_command_line = set()
    for name, read in READERS.items():
        typed, text = given(config, name)
        source = f"kerasequiv_{name} in {config.inipath}"
        if typed is not None:
            text, source = _not_empty(name, str(typed)), f"--kerasequiv-{name}"
            on_command_line.add(name)
        if text:
            values[name] = _read(read, str(text), source)
    return Settings(**values, given=frozenset(on_command_line))


def _not_empty(name: str, typed: str) -> str:
    """Return what the command line gave; an unset variable of a shell must not undo the ini file unseen."""
    if not typed.strip():
        raise pytest.UsageError(
            f"--kerasequiv-{name}: {typed!r} is no value (a variable that is not set?); "
            f"give one, or leave the option out: then kerasequiv_{name} in the ini file or the default holds"
        )
    return typed


def _read(read: Callable[[str], Any], text: str, source: str) -> Any:
    try:
        return read(text)
    except InputError as error:
        raise pytest.UsageError(f"{source}: {error}") from error


SETTINGS = pytest.StashKey[Settings]()
"""On the session's config: its settings, once they were read."""


def settings_of(config: pytest.Config) -> Settings:
    """Return the settings of the session, read when they are first needed."""
    if SETTINGS not in config.stash:
        config.stash[SETTINGS] = read_settings(config)
    return config.stash[SETTINGS]


def cache_folder(config: pytest.Config) -> Path | None:
    """Return the folder for finished runs in pytest's cache; one that cannot be made costs time only."""
    cache = config.cache if hasattr(config, "cache") else None
    if cache is None:
        return None
    try:
        return cache.mkdir("kerasequiv")
    except OSError as error:
        with warnings.catch_warnings():  # a machine's fault fails no test, also under -W error
            warnings.simplefilter("always", pytest.PytestCacheWarning)
            warnings.warn(
                f"finished runs are not kept for the next session: the cache folder cannot be made: {error}; "
                "set cache_dir, or give --kerasequiv-no-cache",
                pytest.PytestCacheWarning,
                stacklevel=1,
            )
        return None
