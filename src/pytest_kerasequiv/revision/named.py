"""Naming a builder, so that a process with other code finds its own of that name."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_kerasequiv.errors import InputError


@dataclass(frozen=True)
class Named:
    """A builder as a session knows it.

    Attributes:
        name: ``"package.module:builder"``, or the path of a model file.
        file: the file that defines it; empty where that is not known.
        arguments: what it is called with.
        keywords: the same by name.
    """

    name: str
    file: str = ""
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] | None = None

    def relative_to(self, top: Path) -> Named:
        """Return the same with its paths relative to the working tree.

        Raises:
            InputError: it lies elsewhere.
        """
        is_file = ":" not in self.name
        path = os.path.realpath(self.name if is_file else self.file)
        relative = os.path.relpath(path, os.path.realpath(top)) if is_file or self.file else ""
        if relative.startswith(".."):
            raise InputError(f"{self.name!r} is in {path}, which is not in the repository {top}")
        return Named(relative if is_file else self.name, relative, self.arguments, self.keywords)


def named(builder: Any) -> Named:
    """Return what names a builder.

    Args:
        builder: a function of a module, a ``functools.partial`` of one, an import string, or a path.

    Raises:
        InputError: it has no name by which another process could find it.
    """
    if isinstance(builder, str | os.PathLike):
        text = os.fspath(builder)
        module = sys.modules.get(text.partition(":")[0]) if ":" in text else None
        return Named(text, getattr(module, "__file__", None) or "")
    if isinstance(builder, functools.partial):
        inner = named(builder.func)
        keywords = {**(inner.keywords or {}), **builder.keywords}
        return Named(inner.name, inner.file, (*inner.arguments, *builder.args), keywords)
    module, name = getattr(builder, "__module__", None), getattr(builder, "__qualname__", None)
    if not module or not name or "<" in name or module == "__main__":
        raise InputError(
            f"the builder {builder!r} cannot be found in another revision by its name; make it a function at "
            "the top of a module (functools.partial of one is fine), or give 'package.module:builder'"
        )
    return Named(f"{module}:{name}", getattr(sys.modules.get(module), "__file__", None) or "")
