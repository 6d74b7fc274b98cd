"""The user's arrays: ``(x, y)`` or ``(x, y, sample_weight)``, checked once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.private_modules import class_weight_to_sample_weights


class Split(NamedTuple):
    """Data as ``Model.fit`` and ``Model.evaluate`` take it: arrays, or lists or dicts of arrays."""

    x: Any
    y: Any
    sample_weight: Any = None

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return len(next(array for _, array in leaves(self.x)))


def split(name: str, value: Any) -> Split:
    """Check the argument ``name`` of `Training` and return it as a `Split` of NumPy arrays.

    Raises:
        InputError: it is no pair, holds NaN or infinite numbers, or its parts differ in length.
    """
    if isinstance(value, Split):
        return value
    if not isinstance(value, (tuple, list)) or len(value) not in (2, 3):
        raise InputError(
            f"{name} is {_kind(value)}; pass {name}=(x, y) or (x, y, sample_weight) as arrays, data in "
            "batches (a tf.data.Dataset, a PyDataset, a torch DataLoader), or a function that makes such data"
        )
    parts = Split(*(_arrays(f"{name} {part}", v) for part, v in zip(Split._fields, value, strict=False)))
    parts = parts._replace(sample_weight=_flat(parts.sample_weight, value))
    if parts.x is None or parts.y is None:
        raise InputError(f"{name} has no {'x' if parts.x is None else 'y'}; pass {name}=(x, y) as arrays")
    _check_lengths(name, parts)
    return parts


def leaves(value: Any, label: str = "") -> Iterator[tuple[str, NDArray[np.generic]]]:
    """Yield each array of a nested structure with a readable place, such as ``"['left']"`` or ``"[0]"``."""
    if value is None:
        return
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from leaves(one, f"{label}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        for index, one in enumerate(value):
            yield from leaves(one, f"{label}[{index}]")
    else:
        yield label, value


def _arrays(label: str, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: _arrays(f"{label}[{key!r}]", one) for key, one in value.items()}
    if isinstance(value, (list, tuple)) and value and all(hasattr(one, "shape") for one in value):
        return [_arrays(f"{label}[{index}]", one) for index, one in enumerate(value)]
    return _array(label, value)


def _flat(weights: Any, given: Sequence[Any]) -> Any:
    """Return sample weights from a pandas series as a row of numbers."""
    return weights[:, 0] if isinstance(weights, np.ndarray) and is_of("pandas", given[2]) else weights


def _array(label: str, value: Any) -> NDArray[np.generic]:
    if np.ma.is_masked(value):
        raise InputError(
            f"{label} is a masked array, whose mask Keras would not see; drop the masked rows, or pass "
            "filled(...) and sample weights"
        )
    try:
        array = _columns(value) if is_of("pandas", value) else np.asarray(value)
    except Exception as error:
        raise InputError(f"{label} cannot be read as an array ({error}); pass a NumPy array") from error
    if array.dtype.kind in "OVcmM" or array.ndim == 0:  # objects, fields, complex numbers, times
        if is_of("pandas", value):
            raise InputError(
                f"{label} is a {type(value).__name__} of pandas with columns that are no numbers; encode or "
                "convert them"
            )
        raise InputError(
            f"{label} is {_kind(value)}, not an array of numbers with one row a sample; pass a NumPy array, "
            "or use fit= for other data"
        )
    refuse_not_finite(label, array)
    return array


def _columns(value: Any) -> NDArray[np.generic]:
    """Return a pandas frame or series as Keras reads it: a series is one column."""
    array: NDArray[np.generic] = value.to_numpy()
    return array[:, None] if array.ndim == 1 else array


def is_of(package: str, value: Any) -> bool:
    """Tell whether a class of a package, which need not be installed, made a value."""
    return any(base.__module__.partition(".")[0] == package for base in type(value).__mro__)


def refuse_not_finite(label: str, array: NDArray[np.generic]) -> None:
    """Refuse NaN and infinite numbers.

    Raises:
        InputError: there are some; in which rows.
    """
    if np.issubdtype(array.dtype, np.inexact) and not np.isfinite(array).all():
        rows = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        raise InputError(
            f"{label} holds NaN or infinite numbers in {len(rows)} of {len(array)} rows, first in row "
            f"{rows[0]}; "
            "remove or impute these rows: a model trained on them yields NaN"
        )


def weighed(name: str, data: Split, class_weight: Mapping[int, float] | None) -> Split:
    """Return data with the weights of their classes as sample weights, as ``Model.fit`` does.

    Raises:
        InputError: they have sample weights already, or several targets.
    """
    if class_weight is None:
        return data
    if data.sample_weight is not None:
        raise InputError(
            f"class_weight and sample weights of {name} are both given, and Keras takes one of the two; "
            "multiply them into sample_weight"
        )
    if not isinstance(data.y, np.ndarray):
        raise InputError(
            f"class_weight goes with one target, and {name} has several; pass sample_weight, one array a "
            "target"
        )
    return data._replace(sample_weight=class_weight_to_sample_weights(data.y, dict(class_weight)))


def _check_lengths(name: str, parts: Split) -> None:
    lengths = {
        f"{part}{place}": len(a) for part in Split._fields for place, a in leaves(getattr(parts, part))
    }
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{place} has {length}" for place, length in lengths.items())
        raise InputError(
            f"{name} has parts of different lengths: {told} rows; x and y need one row a sample each"
        )
    if 0 in lengths.values():
        raise InputError(f"{name} has no rows; pass at least one sample")


def _kind(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype} and shape {value.shape}"
    return f"a {type(value).__name__}" if value is not None else "None"


def both_splits(data: Any, text: str) -> tuple[Any, Any]:
    """Return training and test data from what a loader returned.

    Raises:
        InputError: it is no pair.
    """
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise InputError(
            f"data={text!r} returned {data!r:.60}; it must return ((x_train, y_train), (x_test, y_test))"
        )
    return data[0], data[1]
