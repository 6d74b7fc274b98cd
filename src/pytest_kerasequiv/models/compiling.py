"""Compiling a model with settings of its own: optimizer, losses and metrics are never shared between models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.errors import InputError

if TYPE_CHECKING:
    import keras


def check_compile(compile: Any) -> dict[str, Any] | None:  # noqa: A002 - the public argument's name
    """Read ``Twins(compile=...)``.

    Raises:
        InputError: it is not a mapping of argument names, or is empty.
    """
    if compile is None:
        return None
    if not isinstance(compile, Mapping) or not compile or not all(isinstance(key, str) for key in compile):
        raise InputError(
            f"compile={compile!r} is no mapping of arguments of Model.compile; pass for example "
            'compile={"optimizer": "adam", "loss": "mse", "metrics": ["mae"]}'
        )
    return dict(compile)


def compile_fresh(model: keras.Model, settings: Mapping[str, Any]) -> None:
    """Compile ``model`` with fresh copies of the optimizer, losses and metrics in ``settings``.

    Raises:
        InputError: Keras refuses the settings, or an object in them cannot be copied from its config.
    """
    copies = {name: _fresh(value, f"compile[{name!r}]") for name, value in settings.items()}
    try:
        model.compile(**copies)
    except Exception as error:
        raise InputError(f"compile={dict(settings)!r} is refused by Model.compile: {error}") from error


def compile_settings(model: keras.Model) -> dict[str, Any] | None:
    """Return the arguments that a model was compiled with (its own objects); ``None`` where it is not compiled."""
    config = getattr(model, "_compile_config", None)
    return dict(config.config) if model.compiled and config is not None else None


def _fresh(value: Any, where: str) -> Any:
    """Copy a setting: containers item by item, Keras objects from their config, all else as it is."""
    import keras

    if isinstance(value, Mapping):
        return {key: _fresh(item, f"{where}[{key!r}]") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_fresh(item, where) for item in value]
    if isinstance(value, keras.optimizers.Optimizer | keras.losses.Loss | keras.metrics.Metric):
        return _copy(value, where)
    return value


def _copy(value: Any, where: str) -> Any:
    from pytest_kerasequiv.models.rebuild import custom_objects

    import keras

    try:
        with keras.saving.custom_object_scope(custom_objects(value)):
            return type(value).from_config(value.get_config())
    except Exception as error:
        raise InputError(
            f"{where} is an instance of {type(value).__name__} that cannot be copied from its get_config() "
            f"({error}); each twin needs its own, so give the class a complete get_config, or compile in the builder"
        ) from error
