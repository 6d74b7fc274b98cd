"""The command line and its ini twins. Every session loads this, so what reads the values is in `settings`."""

from __future__ import annotations

from typing import Any

import pytest

SKIP_REASON = "needs --kerasequiv (repeated training)"

OPTIONS = {
    "seeds": ("N", "seeded runs per twin of every Training that does not say itself"),
    "margin": ("M", "equivalence margin, likewise: a number, 10% of the mean, 0.5sd"),
    "alpha": ("A", "error rate of the decisions, likewise (default 0.05)"),
    "engine": ("E", "auto, fit or vectorized, likewise"),
    "inconclusive": ("DO", "what INCONCLUSIVE does: fail (default) or warn"),
    "report": ("DIR", "write report.html, report.json and summary.md there"),
    "workers": ("N|tcp://", "train in N processes, or on that Dask scheduler"),
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
        "--kerasequiv-no-cache",
        action="store_true",
        default=False,
        help="train again what a session has trained before, and keep nothing for the next one",
    )


def enabled(config: pytest.Config) -> bool:
    """Tell whether ``--kerasequiv`` was given."""
    return bool(config.option.kerasequiv)


def given(config: pytest.Config, name: str) -> tuple[Any, Any]:
    """Return what the command line and the ini file say: ``None`` and an empty text where they do not."""
    return getattr(config.option, f"kerasequiv_{name}"), config.getini(f"kerasequiv_{name}")


def any_given(config: pytest.Config) -> bool:
    """Tell whether any option has a value, on the command line or in the ini file."""
    return any(typed is not None or text for typed, text in (given(config, name) for name in OPTIONS))


def records_plain_calls(config: pytest.Config) -> bool:
    """Tell whether plain `compare` in a test counts too: for the gate, or for a report to be written."""
    return enabled(config) or any(given(config, "report"))
