"""What a plan takes beside the data, as ``Model.fit`` does: weights of classes, callbacks, validation."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Mapping
from typing import Any

import keras

from pytest_kerasequiv import arguments
from pytest_kerasequiv.building.locate import resolve
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.data import Split
from pytest_kerasequiv.training.feeds import Feed, kind_of


def fit_options(
    *,
    class_weight: Any,
    callbacks: Any,
    validation_data: Any,
    validation_split: Any,
    validation_steps: Any,
    steps_per_epoch: Any,
) -> dict[str, Any]:
    """Check what a plan takes beside the data, and return it.

    Raises:
        InputError: something cannot be used.
    """
    steps = {"validation_steps": validation_steps, "steps_per_epoch": steps_per_epoch}
    if validation_data is not None and validation_split:
        raise InputError("validation_data and validation_split are both given; leave one of the two away")
    return {
        "class_weight": _class_weight(class_weight),
        "callbacks": _callbacks(callbacks),
        "validation_data": validation_data,
        "validation_split": _share("validation_split", validation_split),
        **{name: None if value is None else arguments.positive(name, value) for name, value in steps.items()},
    }


def with_weights(train: Any, sample_weight: Any) -> Any:
    """Return training data with the weights that were given beside them.

    Raises:
        InputError: the data bring weights of their own, or come in batches.
    """
    if sample_weight is None or isinstance(train, Split | Feed):
        return train
    if kind_of(train) is not None:
        raise InputError(
            f"sample_weight goes with arrays, and train is {kind_of(train)}; let that give (x, y, "
            "sample_weight)"
        )
    if not isinstance(train, tuple | list) or len(train) != 2:
        raise InputError("sample_weight goes with train=(x, y); leave away one of the two weights of train")
    return (*train, sample_weight)


def fresh_callbacks(make: Callable[[], Any] | None) -> list[Any] | None:
    """Return the callbacks of one run.

    Raises:
        InputError: the function returns something else.
    """
    if make is None:
        return None
    made = make()
    listed = list(made) if isinstance(made, list | tuple) else [made]
    for one in listed:
        if not isinstance(one, keras.callbacks.Callback):
            raise InputError(
                f"callbacks() returned {reprlib.repr(one)}, which is no keras.callbacks.Callback; let it "
                "return a list of fresh callbacks"
            )
    return listed


def refuse_shared_callbacks(make: Callable[[], Any] | None) -> None:
    """Refuse a function that returns the same callbacks each time.

    Raises:
        InputError: it does.
    """
    if make is None:
        return
    first, second = fresh_callbacks(make) or [], fresh_callbacks(make) or []
    shared = [one for one in second if any(one is other for other in first)]
    if shared:
        raise InputError(
            f"callbacks() returned the same {type(shared[0]).__name__} twice, whose state would go from one "
            "run to the next; make the callbacks inside the function: callbacks=lambda: [...]"
        )


def _callbacks(value: Any) -> Callable[[], Any] | None:
    if isinstance(value, str):
        value = resolve(value, "callbacks")
    if value is None or callable(value):
        made: Callable[[], Any] | None = value
        return made
    raise InputError(
        f"callbacks={reprlib.repr(value)} are live objects, whose state (best value so far, epochs waited) "
        "would go from one run to the next; pass a function that makes them for each run: callbacks=lambda: "
        "[...]"
    )


def _class_weight(value: Any) -> dict[int, float] | None:
    if value is None:
        return None
    pairs = list(value.items()) if isinstance(value, Mapping) else []
    if not pairs or not all(_is_class(name) and _is_weight(weight) for name, weight in pairs):
        raise InputError(
            f"class_weight={reprlib.repr(value)} must be a dict of whole class numbers and weights of at "
            "least 0, such as {0: 1.0, 1: 5.0}"
        )
    return {int(name): float(weight) for name, weight in pairs}


def _is_class(value: Any) -> bool:
    return str(value).isdigit()  # a table of a file has texts for keys


def _is_weight(value: Any) -> bool:
    try:
        return 0 <= float(value) < float("inf")
    except (TypeError, ValueError):
        return False


def _share(argument: str, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
        return float(value)
    raise InputError(f"{argument}={value!r} must be a share of the samples, at least 0 and below 1")
