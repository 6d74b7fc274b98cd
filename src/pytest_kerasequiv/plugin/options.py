"""The command line and its ini twins. Every session loads this, so what reads the values is in `settings`."""

from __future__ import annotations

from typing import Any

import pytest

SKIP_REASON = "needs --kerasequiv (repeated training)"

OPTIONS = {
    "seeds": ("N", "seeds per twin for a Training that sets none"),
    "margin": ("M", "equivalence margin for a Training that sets none: a number, 10% of the mean, 0.5sd"),
    "alpha": ("A", "error rate for a Training that sets none (default 0.05)"),
    "engine": ("E", "engine for a Training that sets none: auto, fit or vectorized"),
    "inconclusive": ("DO", "what INCONCLUSIVE does: fail (default) or warn"),
    "timeout": ("S", "seconds that building, checking and training one pair may take (default: no limit)"),
    "report": ("DIR", "write report.html, report.json and summary.md there"),
    "workers": ("N|tcp://", "train in N processes, or on that Dask scheduler"),
    "against": ("REV", "compare builders with the same builders at that git revision; implies --kerasequiv"),
}
"""Name behind ``--kerasequiv-`` and ``kerasequiv_`` -> what stands for its value, and its help."""


def add_options(parser: pytest.Parser) -> None:
    """Declare the options and their ini twins."""
    group = parser.getgroup("kerasequiv", "equivalence of Keras models")
    group.addoption(
        "--kerasequiv",
        action="store_true",
        default=False,
        help="run repeated training too and print the equivalence section; fail if no equivalence check ran",
    )
    for name, (metavar, meaning) in OPTIONS.items():
        option = f"--kerasequiv-{name}"
        group.addoption(option, default=None, metavar=metavar, help=meaning.replace("%", "%%"))
        parser.addini(f"kerasequiv_{name}", f"{meaning} ({option} wins)", default="")
    group.addoption(
        "--kerasequiv-all",
        action="store_true",
        default=False,
        help="run every check even where the answer is known, after a proof or a difference",
    )
    parser.addini(
        "kerasequiv_all", "run every check even where the answer is known (--kerasequiv-all)", "bool", False
    )
    group.addoption(
        "--kerasequiv-record",
        action="store_true",
        default=False,
        help="write or renew the recordings that the selected tests compare with; none is ever deleted",
    )
    group.addoption(
        "--kerasequiv-no-cache",
        action="store_true",
        default=False,
        help="train again what a session has trained before, and keep nothing for the next one",
    )


def enabled(config: pytest.Config) -> bool:
    """Tell whether ``--kerasequiv`` was given, alone or with a revision to compare with."""
    return bool(config.option.kerasequiv or config.option.kerasequiv_against)


def everything(config: pytest.Config) -> bool:
    """Tell whether every check runs even where the answer is known."""
    return bool(config.option.kerasequiv_all or config.getini("kerasequiv_all"))


def renews(config: pytest.Config) -> bool:
    """Tell whether recordings are written or renewed."""
    return bool(config.option.kerasequiv_record)


def given(config: pytest.Config, name: str) -> tuple[Any, Any]:
    """Return what the command line and the ini file say: ``None`` and an empty text where they do not."""
    return getattr(config.option, f"kerasequiv_{name}"), config.getini(f"kerasequiv_{name}")


def any_given(config: pytest.Config) -> bool:
    """Tell whether any option has a value, on the command line or in the ini file."""
    return any(typed is not None or text for typed, text in (given(config, name) for name in OPTIONS))


def records_plain_calls(config: pytest.Config) -> bool:
    """Tell whether plain `compare` in a test is noticed: for the gate, a report, all checks or a time-out."""
    options = (*given(config, "report"), *given(config, "timeout"))
    return enabled(config) or everything(config) or any(options)
