"""The picture of two graphs: layout, folding, marks, files."""

from __future__ import annotations

import json
import warnings
from typing import Any

import pytest

from pytest_kerasequiv.reporting.graph_layout import FOLD_FROM, columns_of, rewired, rows_of, shared_rows
from pytest_kerasequiv.reporting.graph_picture import draw_from_figures, places


def node(name: str, *inputs: int, differs: tuple[str, ...] = ()) -> dict[str, Any]:
    edges = [[source, "inputs"] for source in inputs]
    return {
        "path": f"m/{name}",
        "kind": "Dense",
        "shape": [None, 4],
        "inputs": edges,
        "differs": list(differs),
    }


def figures(
    reference: list[Any], candidate: list[Any], pairs: list[tuple[int, int]], **more: Any
) -> dict[str, Any]:
    sides = [{"name": "m", "nodes": nodes, "outputs": [len(nodes) - 1]} for nodes in (reference, candidate)]
    whole = {
        "reference": sides[0],
        "candidate": sides[1],
        "pairs": [list(p) for p in pairs],
        "rules": [],
        **more,
    }
    return json.loads(json.dumps(whole))  # type: ignore[no-any-return]


def chain(length: int, changed: int | None = None) -> list[dict[str, Any]]:
    return [
        node(f"l{i}", *([i - 1] if i else []), differs=("units",) if i == changed else ())
        for i in range(length)
    ]


def straight(length: int, changed: int | None = None) -> dict[str, Any]:
    return figures(chain(length, changed), chain(length, changed), [(i, i) for i in range(length)])


def extra_layer() -> dict[str, Any]:
    longer = [node("a"), node("new", 0, differs=("layer",)), node("b", 1), node("c", 2)]
    return figures([node("a"), node("b", 0), node("c", 1)], longer, [(0, 0), (1, 2), (2, 3)])


def test_partners_stand_level() -> None:
    ours, theirs = shared_rows(extra_layer())
    assert (ours, theirs) == ([0, 2, 3], [0, 1, 2, 3])


def test_crossing_pairs_do_not_break_the_layout() -> None:
    ours, theirs = shared_rows(figures(chain(3), chain(3), [(0, 0), (1, 2), (2, 1)]))
    assert ours == theirs == [0, 1, 2]


def test_a_row_is_centred() -> None:
    nodes = [node("in"), node("a", 0), node("b", 0), node("sum", 1, 2)]
    assert columns_of(nodes, [0, 1, 1, 2]) == [0.0, -0.5, 0.5, 0.0]


def test_small_graphs_and_equal_graphs_are_not_folded() -> None:
    assert not rows_of(straight(FOLD_FROM - 1, changed=3), fold=True).folded
    assert not rows_of(straight(300), fold=True).folded
    assert not rows_of(straight(300, changed=100), fold=False).folded


def test_large_graphs_are_folded_around_the_difference() -> None:
    rows = rows_of(straight(300, changed=100), fold=True)
    assert rows.count < 30
    assert sum(rows.folded.values()) + rows.count - len(rows.folded) == 300
    assert rows.reference[100] not in rows.folded
    assert rows.reference == rows.candidate
    assert list(rows.reference) == sorted(rows.reference)


def test_wrong_connections_are_told() -> None:
    both = [node("in"), node("a", 0), node("b", 1)]
    skip = figures(
        [*both, node("sum", 1, 2, differs=("inputs",))],
        [*both, node("sum", 0, 2, differs=("inputs",))],
        [(i, i) for i in range(4)],
    )
    assert rewired(skip) == {"reference": {(1, 3)}, "candidate": {(0, 3)}}


def test_swapped_connections_are_told() -> None:
    both = [node("in"), node("a", 0), node("b", 0)]
    swapped = figures(
        [*both, node("minus", 1, 2, differs=("inputs",))],
        [*both, node("minus", 2, 1, differs=("inputs",))],
        [(i, i) for i in range(4)],
    )
    assert rewired(swapped)["candidate"] == {(1, 3), (2, 3)}


@pytest.mark.parametrize("suffix", ["svg", "png"])
@pytest.mark.parametrize(
    "drawn", [extra_layer(), straight(10), straight(175, changed=90)], ids=["extra", "10", "175"]
)
def test_files(suffix: str, drawn: dict[str, Any], tmp_path: Any) -> None:
    path = tmp_path / f"graph.{suffix}"
    draw_from_figures(drawn, path)
    start = path.read_bytes()[:300]
    assert start.startswith(b"\x89PNG" if suffix == "png" else b"<?xml")


def test_svg_is_the_same_every_time_but_for_its_ids(tmp_path: Any) -> None:
    draw_from_figures(extra_layer(), tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text()
    assert "<dc:date>" not in text


def test_names_are_plain_text(tmp_path: Any) -> None:
    """Dollars, underscores and angle brackets in a layer's name are no markup."""
    odd = [node("$x^{2$ <b>&_"), node("é" * 80, 0, differs=("units",)), node("層\x1b[2J\n", 1)]
    drawn = figures(odd, odd, [(0, 0), (1, 1), (2, 2)])
    with warnings.catch_warnings(action="error"):  # the font need not have every letter
        draw_from_figures(drawn, tmp_path / "a.svg")
        draw_from_figures(drawn, tmp_path / "a.png")
    assert "\\x1b[2J\\n" in (tmp_path / "a.svg").read_text()


def test_another_suffix_is_refused(tmp_path: Any) -> None:
    with pytest.raises(ValueError, match=r"\.svg or \.png"):
        draw_from_figures(extra_layer(), tmp_path / "a.pdf")


def test_pyplot_and_the_backend_are_left_alone(tmp_path: Any) -> None:
    import subprocess
    import sys

    drawn = json.dumps(json.dumps(extra_layer()))
    code = (
        "import sys, json; from pytest_kerasequiv.reporting.graph_picture import draw_from_figures, places;"
        f"draw_from_figures(json.loads({drawn}), {str(tmp_path / 'a.png')!r});"
        "assert 'matplotlib.pyplot' not in sys.modules; assert 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_places_are_where_the_boxes_are_drawn() -> None:
    found = {
        (one.side, one.path): one
        for one in places(figures(chain(3, 1), chain(3, 1), [(0, 0), (1, 1), (2, 2)]))
    }
    assert len(found) == 6
    for one in found.values():
        assert 0 <= one.left <= 100 - one.width + 0.1
        assert 0 < one.top <= 100 - one.height + 0.1
    first, second = (
        next(one for one in found.values() if one.side == side) for side in ("reference", "candidate")
    )
    assert first.top == second.top
    assert second.left - first.left == pytest.approx(50, abs=0.1)
    tops = [one.top for one in found.values() if one.side == "reference"]
    assert tops == sorted(tops)
    assert tops[1] - tops[0] == pytest.approx(first.height, abs=0.1)
