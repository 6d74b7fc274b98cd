"""One layer under two attributes against two layers, in code of the user's."""

from __future__ import annotations

import keras
import pytest

from pytest_kerasequiv import Verdict, compare
from pytest_kerasequiv.reporting.causes import culprit


class Siamese(keras.Model):
    def __init__(self, share: bool) -> None:
        super().__init__()
        self.left = keras.layers.Dense(4)
        self.right = self.left if share else keras.layers.Dense(4)

    def call(self, x):
        return self.left(x) + self.right(2 * x)


@pytest.mark.parametrize("shared", [True, False])
def test_sharing_is_named_by_the_attributes(shared: bool) -> None:
    report = compare(lambda: Siamese(shared), lambda: Siamese(not shared), input_shape=(4,))
    assert report.verdict is Verdict.DIFFERENT
    first = culprit(report)
    assert first is not None
    side, other = ("reference", "candidate") if shared else ("candidate", "reference")
    assert f"the {side} has one layer as left and right, where the {other} has 2" in first.message
    assert "Next:" not in str(report)


def test_other_variables_are_not_called_shared() -> None:
    class Wider(Siamese):
        def __init__(self) -> None:
            super().__init__(share=False)
            self.more = keras.layers.Dense(4)

        def call(self, x):
            return super().call(x) + self.more(x)

    report = compare(lambda: Siamese(share=False), Wider, input_shape=(4,))
    assert report.verdict is Verdict.DIFFERENT
    assert all(finding.field != "sharing" for finding in report.findings)
