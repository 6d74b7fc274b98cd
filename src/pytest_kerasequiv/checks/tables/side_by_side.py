"""Two summaries side by side as text, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 100
_MARK = {"same": " ", "differs": "!", "follows": "~", "missing": "-", "extra": "+"}
_SIDE = (WIDTH - 4) // 2


def side_by_side(figures: Mapping[str, Any]) -> str:
    """Return the figures of a ``summary`` check as text.

    Equal stretches of more than four rows are shortened to their first and last row. Left of each line: ``!``
    differs, ``~`` differs only because of a line above, ``-`` only in the reference, ``+`` only in the
    candidate.
    """
    lines = [
        _line(" ", "reference", "candidate"),
        _line(" ", *[_columns("layer", "output shape", "params")] * 2),
    ]
    lines.append("-" * WIDTH)
    for block in _blocks(figures["alignment"]):
        if block[0]["state"] == "same" and len(block) > 4:
            shown = [
                _row_line(block[0], figures),
                f"      ... {len(block) - 2} equal rows",
                _row_line(block[-1], figures),
            ]
        else:
            shown = [_row_line(pairing, figures) for pairing in block]
        lines.extend(shown)
    lines.append("-" * WIDTH)
    lines.extend(_totals(figures["reference"], figures["candidate"]))
    return "\n".join(line.rstrip() for line in lines)


def _blocks(alignment: Sequence[Mapping[str, Any]]) -> list[list[Mapping[str, Any]]]:
    blocks: list[list[Mapping[str, Any]]] = []
    for pairing in alignment:
        if blocks and (blocks[-1][-1]["state"] == "same") == (pairing["state"] == "same"):
            blocks[-1].append(pairing)
        else:
            blocks.append([pairing])
    return blocks


def _row_line(pairing: Mapping[str, Any], figures: Mapping[str, Any]) -> str:
    cells = [
        "" if pairing[side] is None else _cell(figures[side]["rows"][pairing[side]])
        for side in ("reference", "candidate")
    ]
    return _line(_MARK[pairing["state"]], *cells)


def _cell(row: Mapping[str, Any]) -> str:
    name = " ".join(row["layer"].rsplit("/", 1)[-1].split())
    frozen = "frozen " if row["trainable"] is False else ""
    return _columns(
        f"{frozen}{row['kind']} ({name})", shapes_text(row["output_shapes"]), f"{row['parameters']:,}"
    )


def _columns(name: str, shape: str, parameters: str) -> str:
    room = _SIDE - 10 - 16
    return f"{_cut(name, room):<{room}} {_cut(shape, 15):<15} {_cut(parameters, 9):>9}"


def _line(mark: str, left: str, right: str) -> str:
    return f"{mark} {left:<{_SIDE}}  {right}"[:WIDTH]


def _cut(text: str, room: int) -> str:
    return text if len(text) <= room else f"{text[: room - 1]}…"


def _totals(reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[str]:
    names = {"rows": "layer", "parameters": "parameter", "trainable_parameters": "trainable parameter"}
    lines = []
    for key, name in names.items():
        one, other = (len(side[key]) if key == "rows" else side[key] for side in (reference, candidate))
        told = [f"{count:,} {name}{'' if count == 1 else 's'}" for count in (one, other)]
        lines.append(_line(_MARK["same" if one == other else "differs"], told[0], told[1]))
    return lines


def shapes_text(shapes: Sequence[Any] | None) -> str:
    """Return shapes as ``(60, 2)``, batch axis left out; several are joined by a semicolon, none is ``?``."""
    if not shapes:
        return "?"
    texts = [
        f"({', '.join('?' if length is None else str(length) for length in shape[1:])})" for shape in shapes
    ]
    return "; ".join(texts)
