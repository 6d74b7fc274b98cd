"""Under what a recording is made."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import keras
import numpy as np
import tensorflow as tf

PROVING = ("tensorflow", "keras")
"""Packages of one version of which programs are the same or not; other versions trace otherwise."""


def made_under() -> dict[str, Any]:
    """Return the versions and the platform that are in force."""
    modules = (keras, tf, np)
    return {
        "versions": {
            "python": platform.python_version(),
            "pytest-kerasequiv": metadata.version("pytest-kerasequiv"),
        }
        | {module.__name__: str(module.__version__) for module in modules},
        "platform": f"{platform.system()} {platform.machine()}",
    }


def other_versions(made: Mapping[str, Any]) -> str:
    """Return in words which versions that something was made under trace otherwise than those in force."""
    known, now = (_versions(one) for one in (made, made_under()))
    apart = [name for name in PROVING if known.get(name) != now[name]]
    return " and ".join(f"{name} {known.get(name)} (here {now[name]})" for name in apart)


def same_python(made: Mapping[str, Any]) -> bool:
    """Tell whether something was made under a Python that compiles code as this one does."""
    known = _versions(made).get("python", "").split(".")[:2]
    return known == platform.python_version().split(".")[:2]


def _versions(made: Mapping[str, Any]) -> dict[str, str]:
    found = made.get("versions")
    return {str(name): str(version) for name, version in found.items()} if isinstance(found, dict) else {}
