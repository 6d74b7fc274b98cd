"""What is decided from what the other process observed, without it."""

from dataclasses import replace

import pytest

from pytest_kerasequiv.backends.answers import narrowed, unless_at_a_kink, without_filled
from pytest_kerasequiv.layers.summary_rows import Row, Summary
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Verdict


def result(used, *others):
    """A result of gradients: by tensor, the share of what is allowed on each batch."""
    tensors = [
        {"what": f"the gradient of {what} on 'training batch {k + 1}'", "stored": {"used": share}}
        for what, shares in used.items()
        for k, share in enumerate(shares)
    ]
    found = [
        Finding.difference("gradients", "value", f"the gradient of {what} on 'training batch 1' differs")
        for what, shares in used.items()
        if max(shares) > 1
    ]
    figures = {"tensors": tensors}
    return CheckResult("gradients", Verdict.DIFFERENT, Evidence.MEASURED, (*found, *others), figures)


@pytest.mark.parametrize(
    ("used", "verdict"),
    [
        ({"a": (5.0, 0.2)}, Verdict.INCONCLUSIVE),
        ({"a": (5.0, 0.2), "b": (0.1, 7.0)}, Verdict.INCONCLUSIVE),
        ({"a": (5.0, 3.0)}, Verdict.DIFFERENT),
        ({"a": (5.0, 3.0), "b": (0.1, 7.0)}, Verdict.DIFFERENT),
        ({"a": (5.0,)}, Verdict.DIFFERENT),
    ],
)
def test_a_tensor_that_differs_on_one_batch_alone_may_have_met_a_kink(used, verdict):
    assert unless_at_a_kink(result(used)).verdict is verdict


def test_an_output_jumps_at_no_kink():
    found = result({"a": (5.0, 0.2)})
    tensors = [
        {**one, "what": one["what"].replace("the gradient of", "output")} for one in found.figures["tensors"]
    ]
    assert unless_at_a_kink(replace(found, figures={"tensors": tensors})).verdict is Verdict.DIFFERENT


def test_what_no_kink_explains_decides_all_the_same():
    frozen = Finding.difference("gradients", "trainable", "weight 'a' is frozen in the candidate")
    assert unless_at_a_kink(result({"a": (5.0, 0.2)}, frozen)).verdict is Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("dtypes", "verdict"),
    [
        (("int64", "int32"), Verdict.EQUIVALENT),
        (("int32", "int64"), Verdict.DIFFERENT),
        (("float64", "float32"), Verdict.DIFFERENT),
    ],
)
def test_integers_that_the_backend_narrows_are_a_note(dtypes, verdict):
    finding = Finding.difference("weights", "dtype", "dtype is other", values=dtypes)
    found = narrowed(CheckResult("weights", Verdict.DIFFERENT, Evidence.MEASURED, (finding,), {}))
    assert found.verdict is verdict
    assert bool(found.differences) is (verdict is Verdict.DIFFERENT)


def test_axes_that_keras_fills_on_torch_are_open():
    shown = [Row("a/dense", "Dense", (shape,), 3, True, ((83, 83, 4),)) for shape in ((83, 2), (None, 2))]
    both = [without_filled(Summary((row,), 3, 3)) for row in shown]
    assert both[0].rows == both[1].rows
    assert both[0].rows[0].input_shapes == ((None, None, 4),)
