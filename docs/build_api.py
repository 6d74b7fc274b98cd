"""Writes docs/api.md from the docstrings of the public names: ``python docs/build_api.py``."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest_kerasequiv
from pytest_kerasequiv.plugin.fixtures import keras_twins, kerasequiv_executor, kerasequiv_settings
from pytest_kerasequiv.plugin.settings import Settings
from pytest_kerasequiv.plugin.twins_factory import TwinsFactory
from pytest_kerasequiv.plugin.twins_under_test import InconclusiveWarning, TwinsUnderTest

TARGET = Path(__file__).parent / "api.md"
HEAD = """# API

Built from the docstrings by `docs/build_api.py`. All names but the fixtures and their helpers are imported
from `pytest_kerasequiv`; nothing heavy is imported until a name is used.
"""

UNSIGNED = (enum.Enum, Exception, TwinsFactory, TwinsUnderTest)
"""Classes that users do not call."""


def page() -> str:
    """Return the text of the page."""
    parts = [HEAD]
    parts += [_entry(name, getattr(pytest_kerasequiv, name)) for name in pytest_kerasequiv.__all__]
    parts.append("# Fixtures\n")
    for fixture in (keras_twins, kerasequiv_executor, kerasequiv_settings):
        parts.append(f"## `{fixture.__name__}`\n\n{_markdown(inspect.getdoc(fixture) or '')}")
    parts.append("# What the fixtures return\n")
    parts += [_entry(found.__name__, found) for found in (Settings, InconclusiveWarning)]
    return "\n".join(parts).rstrip() + "\n"


def _entry(name: str, found: Any) -> str:
    lines = [f"## `{name}`", ""]
    if not (inspect.isclass(found) and issubclass(found, UNSIGNED)):
        lines += [f"    {name}{_signature(found)}", ""]
    lines.append(_markdown(inspect.getdoc(found) or ""))
    if inspect.isclass(found) and issubclass(found, enum.Enum):
        lines.append(f"Members: {', '.join(f'`{member.name}`' for member in found)}.\n")
    elif inspect.isclass(found):
        lines += _members(found)
    return "\n".join(lines)


def _signature(found: Any) -> str:
    signature = inspect.signature(found)
    shown = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
    text = str(signature.replace(parameters=shown, return_annotation=signature.empty))
    text = re.sub(r"<[^>]*factory[^>]*>", "...", text)
    if len(shown) > 15 and "Args:" not in (inspect.getdoc(found) or ""):
        return "(...)"  # a result, which only the package makes
    return text if len(text) < 90 else text.replace(", ", ",\n        ")


def _members(found: type) -> Iterator[str]:
    fields = {field.name for field in dataclasses.fields(found)} if dataclasses.is_dataclass(found) else set()
    for name, member in vars(found).items():
        if name.startswith("_") or name in fields or not inspect.getdoc(member):
            continue
        if isinstance(member, property):
            yield f"### `.{name}`\n\n{_markdown(inspect.getdoc(member) or '')}"
        elif isinstance(member, classmethod):
            title = f"{found.__name__}.{name}{_signature(getattr(found, name))}"
            yield f"### `{title}`\n\n{_markdown(inspect.getdoc(member.__func__) or '')}"
        elif inspect.isfunction(member):
            yield f"### `.{name}{_signature(member)}`\n\n{_markdown(inspect.getdoc(member) or '')}"


def _markdown(doc: str) -> str:
    """Turn a Google-style docstring into Markdown."""
    lines: list[str] = []
    section = ""
    for line in doc.replace("``", "`").splitlines():
        heading = re.fullmatch(r"(Args|Attributes|Raises|Returns|Examples|Yields):", line)
        if heading:
            section = heading[1]
            lines += [f"**{section}**", ""]
        elif section == "Examples":
            lines.append(line if line.strip() != "::" else "")
        elif section and (item := re.fullmatch(r"    (\*{0,2}[\w.]+): (.*)", line)):
            lines.append(f"- `{item[1]}`: {item[2]}")
        elif section and line.startswith("    "):
            lines.append(f"  {line.strip()}")
        else:
            lines.append(line)
    return "\n".join(lines).strip() + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(), encoding="utf-8")
