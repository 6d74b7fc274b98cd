"""What callers may pass: every argument of the public surface is looked at here, and nowhere else.

Each function returns the argument in the form that the package works with, or raises `InputError`, whose
one paragraph names the argument, the value and the remedy.
"""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast

from pytest_kerasequiv.errors import InputError

BACKENDS = ("tensorflow", "jax", "torch")
ENGINES = ("auto", "fit", "vectorized")
LARGEST_SEED = 2**32 - 1
MOST_RUNS = 1_000_000

Plan = TypeVar("Plan")
Weights = Literal["auto", "copy", "own"]


def seed(value: Any) -> int:
    """Return one seed."""
    if not _is_seed(value):
        raise InputError(f"seed={value!r} must be a whole number from 0 to {LARGEST_SEED}; 0 is the default")
    return int(value)


def seeds(value: Any) -> int | tuple[int, ...] | None:
    """Return a count of seeds, the seeds themselves, or ``None`` for the default."""
    if value is None:
        return None
    if _is_whole(value):
        return _seed_count(int(value))
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise InputError(f"seeds={value!r} must be a count such as 20, or a list of whole numbers")
    return _seed_list(list(value))


def _seed_count(count: int) -> int:
    if count < 2:
        raise InputError(f"seeds={count} is too few: a spread needs at least 2 runs; 20 is the default")
    if count > MOST_RUNS:
        raise InputError(f"seeds asks for more than {MOST_RUNS} runs; give a number such as 20, the default")
    return count


def _seed_list(listed: list[Any]) -> tuple[int, ...]:
    wrong = [one for one in listed if not _is_seed(one)]
    if wrong:
        raise InputError(
            f"seeds holds {wrong[0]!r}; each seed must be a whole number from 0 to {LARGEST_SEED}"
        )
    if len(listed) < 2:
        raise InputError(
            f"seeds={listed!r} is too few: a spread needs at least 2 runs; pass at least two seeds"
        )
    twice = sorted({one for one in listed if listed.count(one) > 1})
    if twice:
        raise InputError(
            f"seeds names {twice[0]} more than once; a repeated seed is no new run, so name each once"
        )
    return tuple(int(one) for one in listed)


def alpha(value: Any) -> float:
    """Return an error rate."""
    if not _is_real(value) or not 0 < float(value) < 0.5:
        raise InputError(
            f"alpha={value!r} is no error rate; give a number between 0 and 0.5, for example 0.05"
        )
    return float(value)


def share(argument: str, value: Any) -> float:
    """Return a number between 0 and 1."""
    if not _is_real(value) or not 0 < float(value) < 1:
        raise InputError(f"{argument}={value!r} is out of range; give a number between 0 and 1")
    return float(value)


def engine(value: Any) -> str:
    """Return the name of an engine of repeated training."""
    return _one_of("engine", value, ENGINES)


def weights(value: Any) -> Weights:
    """Return which weights the twins are compared under."""
    if not isinstance(value, str) or value not in {"auto", "copy", "own"}:
        raise InputError(
            f"weights={value!r} is unknown; pass 'copy' (carry the reference's weights to the candidate), "
            "'own' (compare the weights each side came with) or 'auto'"
        )
    return cast("Weights", value)


def backend(value: Any) -> str | None:
    """Return the backend of Keras that the candidate runs on; ``None`` for the reference's, TensorFlow."""
    if value is None:
        return None
    found = _one_of("backend", value, BACKENDS)
    return None if found == "tensorflow" else found


def name(value: Any) -> str:
    """Return the name of a pair."""
    if isinstance(value, str) and value.strip():
        return value
    raise InputError(f"name={value!r} is no name of a pair; pass a string that is not empty, or leave it out")


def positive(argument: str, value: Any) -> int:
    """Return a whole number of at least 1."""
    if not _is_whole(value) or value < 1:
        raise InputError(f"{argument}={value!r} must be a whole number of at least 1")
    return int(value)


def flag(argument: str, value: Any) -> bool:
    """Return True or False."""
    if value is True or value is False:
        return value
    raise InputError(f"{argument}={value!r} must be True or False")


def tolerances(rtol: Any, atol: Any) -> tuple[float | None, float | None]:
    """Return the relative and the absolute tolerance; ``None`` for one that was not given."""
    return _tolerance("rtol", rtol), _tolerance("atol", atol)


def _tolerance(argument: str, value: Any) -> float | None:
    if value is None:
        return None
    if not _is_real(value) or not 0 <= float(value) < math.inf:
        raise InputError(
            f"{argument}={value!r} is no tolerance; pass a finite number of at least 0, such as 1e-5, or "
            "leave it out to have it derived from the model"
        )
    return float(value)


def timeout(value: Any) -> float | None:
    """Return a limit of time in seconds; ``None`` for none."""
    if value is None:
        return None
    if not _is_real(value) or not 0 < float(value) < math.inf:
        raise InputError(f"timeout={value!r} is no limit of time; give seconds, for example 600")
    return float(value)


def checks(value: Any, known: Sequence[str]) -> tuple[str, ...] | None:
    """Return the names of checks in the order of the ladder; ``None`` for until the answer is known.

    Args:
        value: names, ``"all"`` or ``None``.
        known: the names of all checks, in the order of the ladder.
    """
    if value is None:
        return None
    choices = f"choose from {', '.join(known)}"
    if isinstance(value, str):
        if value == "all":
            return tuple(known)
        raise InputError(
            f"checks={value!r} is one string; pass a list of names, for example checks=[{value!r}], or 'all'"
        )
    if not isinstance(value, Iterable):
        raise InputError(f"checks={value!r} is no list of names; {choices}, or leave it out")
    asked = list(value)
    unknown = [one for one in asked if one not in known]
    if unknown:
        raise InputError(f"checks={asked!r} names {unknown[0]!r}, which is no check; {choices}")
    if not asked:
        raise InputError("checks=[] asks for nothing, so nothing would be checked; name at least one check")
    return tuple(one for one in known if one in asked)


def training(value: Any, kind: type[Plan]) -> Plan | None:
    """Return the plan of repeated training, ``None`` for none.

    Args:
        value: the plan.
        kind: the class of plans.
    """
    if value is None or isinstance(value, kind):
        return value
    raise InputError(f"training={reprlib.repr(value)} is no plan; pass Training(train, test, ...)")


def accept(value: Any) -> tuple[str, ...]:
    """Return the patterns of findings that are meant."""
    if isinstance(value, str):
        raise InputError(
            f"accept={value!r} is one string; pass a list of patterns, for example accept=[{value!r}]"
        )
    patterns = list(value) if isinstance(value, Iterable) else [value]
    wrong = [one for one in patterns if not isinstance(one, str) or not one.strip()]
    if wrong:
        raise InputError(
            f"accept holds {wrong[0]!r}; each entry must be a pattern 'layer.field' such as 'clip.*'"
        )
    return tuple(patterns)


def metric_names(value: Any) -> tuple[str, ...] | None:
    """Return names of metrics; ``None`` for all."""
    if value is None:
        return None
    if isinstance(value, str):
        raise InputError(
            f"metrics={value!r} is one string; pass a list of names, for example metrics=[{value!r}]"
        )
    if not isinstance(value, Iterable):
        raise InputError(f"metrics={value!r} is no list of names; pass for example metrics=['loss']")
    names = tuple(value)
    wrong = [one for one in names if not isinstance(one, str)]
    if wrong or not names:
        what = f"holds {wrong[0]!r}" if wrong else "is empty"
        raise InputError(
            f"metrics {what}; pass names as evaluate(return_dict=True) returns them, such as "
            "metrics=['loss'], or leave it out for all of them"
        )
    if len(set(names)) < len(names):
        raise InputError(f"metrics={list(names)!r} names a metric twice; name each once")
    return names


def observed(value: Any) -> dict[str, tuple[float, float]] | None:
    """Return metric -> the single values of reference and candidate that the user saw; ``None`` for none."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not value:
        raise InputError(
            f"observed={reprlib.repr(value)} is no dict of metrics; pass the single values that you saw, the "
            'reference\'s first, for example observed={"mae": (3.96, 4.49)}'
        )
    for metric, pair in value.items():
        if not isinstance(metric, str) or not _is_pair_of_numbers(pair):
            raise InputError(
                f"observed holds {metric!r}: {reprlib.repr(pair)}; each entry must be a metric's name with "
                "two finite numbers, the reference's value and the candidate's"
            )
    return {metric: (float(pair[0]), float(pair[1])) for metric, pair in value.items()}


def _is_pair_of_numbers(value: Any) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and len(value) == 2
        and all(_is_real(one) and math.isfinite(one) for one in value)
    )


def _one_of(argument: str, value: Any, choices: Sequence[str]) -> str:
    if value not in choices:
        raise InputError(f"{argument}={value!r} is unknown; choose from {', '.join(choices)}")
    return str(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_seed(value: Any) -> bool:
    return _is_whole(value) and 0 <= int(value) <= LARGEST_SEED
