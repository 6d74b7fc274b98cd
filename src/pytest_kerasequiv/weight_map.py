"""Which weight of the reference is which of the candidate, as a table to read and to work with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class MappedWeight:
    """One weight of the reference and its partner.

    Attributes:
        reference: its Keras path in the reference, such as ``"functional/conv/kernel"``.
        candidate: its Keras path in the candidate.
        reference_shape: its shape in the reference.
        candidate_shape: its shape in the candidate.
        carried: how a value of the reference becomes the candidate's: ``"as it is"``, or how it is reshaped.
        by: what tells so: ``"program"`` (proved), ``"graph"``, ``"use"`` or ``"hypothesis"``.
    """

    reference: str
    candidate: str
    reference_shape: tuple[int, ...]
    candidate_shape: tuple[int, ...]
    carried: str
    by: str


@dataclass(frozen=True)
class WeightMap:
    """The weights of both models that correspond; states of random generators are not among them.

    Attributes:
        rows: one for each pair, in the order of the reference's variables.
        certain: whether no other map is possible; a map that is not certain is the likeliest one.
        unmapped_reference: paths of the reference's variables that have no partner.
        unmapped_candidate: the candidate's.
    """

    rows: tuple[MappedWeight, ...]
    certain: bool = True
    unmapped_reference: tuple[str, ...] = ()
    unmapped_candidate: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[MappedWeight]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        cells = [("reference", "candidate", "shape", "carried", "matched by")]
        cells += [(row.reference, row.candidate, _shapes(row), row.carried, row.by) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ]
        for side, paths in (("reference", self.unmapped_reference), ("candidate", self.unmapped_candidate)):
            lines += [f"only in the {side}: {path}" for path in paths]
        return "\n".join(lines if self.certain else [*lines, "This map is the likeliest one, not certain."])

    @classmethod
    def of_figures(cls, figures: Mapping[str, Any]) -> WeightMap:
        """Read the figures of the check ``weights``, also after a round trip through JSON."""
        rows = tuple(
            MappedWeight(
                row["reference"],
                row["candidate"],
                tuple(row["reference_shape"]),
                tuple(row["candidate_shape"]),
                row["carried"],
                row["by"],
            )
            for row in figures["table"]
        )
        unmapped = (tuple(figures[f"unmapped_{side}"]) for side in ("reference", "candidate"))
        return cls(rows, bool(figures["certain"]), *unmapped)


def _shapes(row: MappedWeight) -> str:
    same = row.reference_shape == row.candidate_shape
    return str(row.reference_shape) if same else f"{row.reference_shape} -> {row.candidate_shape}"
