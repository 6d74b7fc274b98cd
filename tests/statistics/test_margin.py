import numpy as np
import pytest

from pytest_kerasequiv import InputError
from pytest_kerasequiv.statistics.margin import Margin, parse_margin


@pytest.mark.parametrize(
    ("given", "kind", "size", "label"),
    [
        (None, "sd", 1.0, "1 sd"),
        (0.05, "absolute", 0.05, "0.05"),
        (2, "absolute", 2.0, "2"),
        (np.float32(0.5), "absolute", 0.5, "0.5"),
        (np.int64(3), "absolute", 3.0, "3"),
        ("0.05", "absolute", 0.05, "0.05"),
        ("10%", "relative", 0.1, "10%"),
        (" 2.5 % ", "relative", 0.025, "2.5%"),
        ("0.5sd", "sd", 0.5, "0.5 sd"),
        (".5 SD", "sd", 0.5, "0.5 sd"),
        ("1e-3", "absolute", 0.001, "0.001"),
        (Margin("sd", 2.0), "sd", 2.0, "2 sd"),
    ],
)
def test_reads(given, kind, size, label):
    margin = parse_margin(given)
    assert (margin.kind, margin.label) == (kind, label)
    assert margin.size == pytest.approx(size)


@pytest.mark.parametrize(
    "given",
    [
        0,
        0.0,
        -1,
        float("nan"),
        float("inf"),
        "5 percent",
        "nan",
        "inf",
        "",
        "sd",
        "%",
        "-5%",
        "0sd",
        "100%",
        "250%",
        True,
    ],
)
def test_refuses(given):
    with pytest.raises(InputError, match=r"margin=") as caught:
        parse_margin(given)
    assert repr(given) in str(caught.value)
    assert "give" in str(caught.value)


@pytest.mark.parametrize("given", [[1.0], {"mae": 1}, 1j, object()])
def test_refuses_other_types(given):
    with pytest.raises(InputError, match="cannot be read as a margin"):
        parse_margin(given)
