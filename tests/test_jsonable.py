"""Data as JSON has it."""

from __future__ import annotations

import json
import math

import numpy as np

from pytest_kerasequiv.jsonable import to_jsonable
from pytest_kerasequiv.verdict import Verdict


def test_numbers_that_json_lacks_become_text() -> None:
    data = {
        "a": np.float32(1.5),
        "b": math.nan,
        "c": np.array([1, 2]),
        "d": (Verdict.EQUIVALENT, {3, 1}),
        5: -math.inf,
    }
    assert to_jsonable(data) == {"a": 1.5, "b": "nan", "c": [1, 2], "d": ["EQUIVALENT", [1, 3]], "5": "-inf"}
    json.dumps(to_jsonable(data), allow_nan=False)
