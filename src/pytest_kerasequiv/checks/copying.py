"""Copying the reference's weights into the candidate, through the map of variables."""

from __future__ import annotations

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.exclusive import EXCLUSIVE
from pytest_kerasequiv.weight_map import WeightMap
from pytest_kerasequiv.weights.variables import is_seed, values_of, variables_of, write


def copy_weights(twins: Twins) -> WeightMap:
    """Give the built candidate the weights of the built reference, and return which went where.

    Optimizers and states of random generators are left as they are.

    Raises:
        InputError: a weight has no partner, or which is which is not certain; nothing is copied then.
    """
    with EXCLUSIVE:
        pair = Pair(twins)
        pair.build()
        found = WeightMap.of_figures(LADDER["weights"](pair).figures)
        _refuse_doubtful(found)
        values = pair.variable_map.carry(values_of(pair.reference), values_of(pair.candidate))
        for variable, value in zip(variables_of(pair.candidate), values, strict=True):
            if not is_seed(variable):
                write(variable, value)
    return found


def _refuse_doubtful(found: WeightMap) -> None:
    for side, paths in (("reference", found.unmapped_reference), ("candidate", found.unmapped_candidate)):
        if paths:
            named = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
            raise InputError(
                f"the weights cannot be copied: {named} of the {side} has no partner; print "
                "compare(...).weight_map to see what corresponds, and copy the rest by hand"
            )
    if not found.certain:
        raise InputError(
            "the weights cannot be copied: which is which is not certain; print compare(...).weight_map to "
            "see the likeliest map, and copy by hand what you know to correspond"
        )
