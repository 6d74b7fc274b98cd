"""Pictures into files."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure


def save(figure: Figure, path: str | Path, **options: Any) -> None:
    """Write a picture; a letter that the font does not have is a box in it, and no warning of the session's.

    Args:
        figure: the picture.
        path: where to; the suffix, ``.svg`` or ``.png``, decides the format.
        **options: of ``Figure.savefig``.

    Raises:
        ValueError: the suffix is neither.
    """
    target = Path(path)
    if target.suffix not in {".svg", ".png"}:
        raise ValueError(f"path {str(target)!r}: pictures are written as .svg or .png")
    metadata = {"Date": None} if target.suffix == ".svg" else {}  # the same picture gives the same bytes
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from", UserWarning)
        figure.savefig(target, metadata=metadata, **options)
