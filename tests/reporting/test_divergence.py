from __future__ import annotations

from pytest_kerasequiv.reporting.divergence import divergence_rows


def layer(difference: object, allowed: object = 1e-6) -> dict[str, object]:
    return {"reference": "a/x", "candidate": "b/x", "difference": difference, "allowed": allowed}


def test_bars_grow_with_the_difference_and_zero_has_none() -> None:
    rows = divergence_rows([layer(0.0), layer(1e-5), layer(1e-3)])
    shares = [row["difference_share"] for row in rows]
    assert shares[0] == 0.0
    assert 0 < shares[1] < shares[2] <= 100
    assert [row["over"] for row in rows] == [False, True, True]
    assert rows[0]["name"] == "a/x / b/x"


def test_what_is_allowed_stands_on_the_same_scale() -> None:
    (row,) = divergence_rows([layer(1e-6, 1e-6)])
    assert row["difference_share"] == row["allowed_share"]
    assert not row["over"]


def test_nan_is_the_largest_and_nothing_is_nothing() -> None:
    rows = divergence_rows([layer("nan"), layer("inf", None), layer(None, None), layer(1e-3)])
    assert rows[0]["difference_share"] == 100.0
    assert rows[0]["over"]
    assert rows[1]["over"]
    assert rows[2]["difference"] is None
    assert not rows[2]["over"]


def test_no_layers() -> None:
    assert divergence_rows([]) == []
