"""The user's own batch, where it can be compared on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.checks.sides import sides_of
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.models.input_layout import checked_inputs, input_layout, nan_in

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pytest_kerasequiv.checks.pair import Pair

    Array = NDArray[np.generic]


def own_inputs(pair: Pair, inputs: Any) -> tuple[Array, ...]:
    """Return the user's inputs, flattened in the reference's order.

    Raises:
        InputError: they do not fit the reference, or hold NaN for which the reference returns no numbers.
    """
    layout = input_layout(pair.reference)
    arrays = tuple(checked_inputs(inputs, layout))
    held = nan_in(arrays, layout)
    if held is not None and not _copes(pair, arrays):
        raise InputError(
            f"{held}; the reference returns NaN for them, so nothing can be compared: remove or impute them"
        )
    return arrays


def _copes(pair: Pair, arrays: tuple[Array, ...]) -> bool:
    """Tell whether the reference returns numbers for NaN."""
    import numpy as np

    runner = sides_of(pair)[0].runner()
    with runner.holding():
        runner.reset_all()
        outputs = runner.infer(arrays).outputs
    return not any(output.dtype.kind == "f" and bool(np.isnan(output).any()) for output in outputs)
