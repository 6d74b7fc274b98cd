"""Compiling a model with settings of its own: optimizers and metrics, which have state, are never shared."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Set
from types import FunctionType
from typing import Any

import keras

from pytest_kerasequiv.building.fresh_losses import fresh_loss, widened
from pytest_kerasequiv.errors import InputError, said
from pytest_kerasequiv.keras_access.compile_state import (
    compile_record,
    forget_metrics,
    given_to_metrics,
    metrics_in_force,
)
from pytest_kerasequiv.keras_access.layers import layers_within
from pytest_kerasequiv.keras_access.optimizer_state import (
    exclude_variables,
    excluded_pattern,
    excludes_variable,
    excludes_variables,
    innermost,
    optimizer_config,
    rate_of,
)
from pytest_kerasequiv.keras_access.origin import is_keras, is_library, replaced
from pytest_kerasequiv.layers.bytecode import attributes_set
from pytest_kerasequiv.layers.own_code import own_attributes

_PLAIN = (bool, int, float, str, dict)


def check_compile(compile: Any) -> dict[str, Any] | None:  # noqa: A002 - the public argument's name
    """Read ``Twins(compile=...)``.

    Raises:
        InputError: it is not a mapping of argument names, or is empty.
    """
    __tracebackhide__ = True
    if compile is None:
        return None
    if not isinstance(compile, Mapping) or not compile or not all(isinstance(key, str) for key in compile):
        raise InputError(
            f"compile={compile!r} is no mapping of arguments of Model.compile; pass for example "
            'compile={"optimizer": "adam", "loss": "mse", "metrics": ["mae"]}'
        )
    return dict(compile)


def compile_fresh(model: keras.Model, settings: Mapping[str, Any], like: keras.Model | None = None) -> None:
    """Compile ``model`` with fresh copies of the optimizer and metrics in ``settings``.

    Args:
        model: a built model, or one that is built later.
        settings: arguments of ``Model.compile``.
        like: the model that was compiled with them, where ``model`` is a copy of it.

    Raises:
        InputError: Keras refuses the settings, or an object in them cannot be copied from its config.
    """
    __tracebackhide__ = True
    _refuse_unknown_names(settings)
    copies = {name: fresh_settings(value, f"compile[{name!r}]") for name, value in settings.items()}
    listed = _listed_positions(model, model if like is None else like, settings.get("optimizer"))
    forget_metrics(model)
    recorded = own_compile(model) and settings.keys() <= _arguments_of(keras.Model.compile)
    try:
        if recorded:
            _compile_again(model, copies)
        else:
            model.compile(**copies)
    except Exception as error:
        raise InputError(f"compile={dict(settings)!r} is refused by Model.compile: {said(error)}") from error
    if listed:
        optimizer = innermost(model.optimizer)
        weights = model.trainable_variables
        exclude_variables(optimizer, [weights[index] for index in listed])


def own_compile(model: keras.Model) -> bool:
    """Whether the class of a model has a ``compile`` of its own, whose arguments nothing records."""
    return not is_keras(type(model).compile)


def set_by_own_compile(model: keras.Model) -> dict[str, Any]:
    """Return the attributes that a model's own ``compile`` sets, with their values."""
    own = [
        vars(base)["compile"]
        for base in type(model).__mro__
        if "compile" in vars(base) and not is_keras(base)
    ]
    codes = [getattr(function, "__code__", None) for function in own]
    names = {name: None for code in codes if code is not None for name in attributes_set(code)}
    return {name: getattr(model, name) for name in names if hasattr(model, name)}


def _compile_again(model: keras.Model, settings: Mapping[str, Any]) -> None:
    """Compile a model again that its own ``compile`` has compiled: as Keras does, with fresh optimizers."""
    keras.Model.compile(model, **settings)
    for name, value in set_by_own_compile(model).items():
        if isinstance(value, keras.optimizers.Optimizer | keras.metrics.Metric) and name != "optimizer":
            setattr(model, name, _copy(value, name))


def _arguments_of(function: Any) -> Set[str]:
    return inspect.signature(function).parameters.keys()


def fresh_metrics(model: keras.Model) -> Any:
    """Return the compiled metrics of a model, not built and with copies of the user's; ``None`` without any.

    Raises:
        InputError: a metric cannot be copied from its config.
    """
    compiled = metrics_in_force(model)
    if compiled is None:
        return None
    given = given_to_metrics(compiled)
    metrics = fresh_settings(given["metrics"], "compile['metrics']")
    weighted = fresh_settings(given["weighted_metrics"], "compile['weighted_metrics']")
    return type(compiled)(metrics, weighted, output_names=compiled.output_names)


def _listed_positions(model: Any, like: Any, optimizer: Any) -> list[int]:
    """Return which trainable variables a copy of an optimizer must not decay, as it was told one by one.

    It knows those of ``exclude_from_weight_decay(var_list=...)`` by identity only: variables of ``like``. If
    it knows none of these, ``model`` may be a copy that is compiled so already.
    """
    if not excludes_variables(innermost(optimizer)):
        return []  # what the model's present optimizer excludes is no matter of a new one
    return _excluded_positions(like, optimizer) or _excluded_positions(
        model, getattr(model, "optimizer", None)
    )


def _excluded_positions(model: Any, optimizer: Any) -> list[int]:
    inner = innermost(optimizer)
    return [i for i, v in enumerate(model.trainable_variables) if excludes_variable(inner, v)]


def compile_settings(model: keras.Model) -> dict[str, Any] | None:
    """Return what a model is compiled with (its own objects); ``None`` where it is not compiled.

    The optimizer is the one in force: it may have been replaced since, and saving to HDF5 takes it out of
    Keras's record of the arguments.
    """
    config = compile_record(model)
    if not model.compiled or config is None:
        return None
    return {**config.config, "optimizer": _in_force(model, config.config.get("optimizer"))}


def _in_force(model: Any, recorded: Any) -> Any:
    """Return a model's optimizer, without the loss scaler that ``compile`` puts around it by itself."""
    optimizer = getattr(model, "optimizer", None)
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is None or optimizer is recorded:
        return optimizer
    return (
        inner if inner is recorded or (recorded is None and _wrapped_again(model, optimizer)) else optimizer
    )


def _wrapped_again(model: Any, scaler: Any) -> bool:
    """Whether ``compile`` would make just this loss scaler, given the optimizer within."""
    if type(scaler) is not keras.optimizers.LossScaleOptimizer or model.dtype_policy.name != "mixed_float16":
        return False
    usual = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(), name="loss_scale_optimizer")
    ours, theirs = scaler.get_config(), usual.get_config()
    return all(ours.get(name) == theirs[name] for name in theirs if name != "inner_optimizer")


def _refuse_unknown_names(settings: Mapping[str, Any]) -> None:
    """Look the names of losses and metrics up now: Keras does so only when the first batch arrives."""
    __tracebackhide__ = True
    by_shape = {"accuracy", "acc", "crossentropy", "ce"}  # metrics that Keras chooses by the shapes
    kinds = {"loss": keras.losses, "metrics": keras.metrics, "weighted_metrics": keras.metrics}
    for key, kind in kinds.items():
        for name in _names(settings.get(key)):
            try:
                known = name in by_shape or kind.get(name) is not None
            except ValueError:
                known = False
            if not known:
                raise InputError(
                    f"compile[{key!r}] names {name!r}, which Keras does not know; correct the name"
                )


def _names(setting: Any) -> list[str]:
    return [leaf for leaf in keras.tree.flatten(setting) if isinstance(leaf, str)]


def fresh_settings(value: Any, where: str) -> Any:
    """Copy a setting: containers item by item, optimizers and metrics from their config, all else as it is.

    Losses are copied where they have state, see `fresh_losses`; else one instance serves both twins.
    """
    return _fresh_within(value, where, {})


def _fresh_within(value: Any, where: str, losses: dict[int, Any]) -> Any:
    """Copy a setting; ``losses`` holds the copies made: one loss of two outputs has one state."""
    if isinstance(value, Mapping):
        return {key: _fresh_within(item, f"{where}[{key!r}]", losses) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_fresh_within(item, where, losses) for item in value]
    if isinstance(value, keras.optimizers.Optimizer | keras.metrics.Metric):
        return _copy(value, where)
    if isinstance(value, keras.losses.Loss):
        if id(value) not in losses:
            losses[id(value)] = widened(fresh_loss(value, _remade))
        return losses[id(value)]
    return value


def _remade(value: Any) -> Any:
    """Make an object again from its config."""
    with keras.saving.custom_object_scope(custom_objects(value)):
        return type(value).from_config(_config(value))


def _config(value: Any) -> dict[str, Any]:
    is_optimizer = isinstance(value, keras.optimizers.Optimizer)
    config = optimizer_config(value) if is_optimizer else dict(value.get_config())
    if not is_optimizer and keras.config.floatx() == "float64" and "float" in str(config.get("dtype", "")):
        config["dtype"] = "float64"
    return config


def _copy(value: Any, where: str) -> Any:
    set_on = replaced(value)
    if set_on:
        raise InputError(
            f"{where} is an instance of {type(value).__name__} with another {set_on[0]} set on it, which a "
            f"copy would lack, and each run needs its own: make it a subclass that overrides {set_on[0]}"
        )
    why = ""
    for way in (_remade,) if is_library(type(value)) else (_remade, _from_arguments, _from_attributes):
        try:
            copy = way(value)
        except Exception as error:
            why = why or said(error)
            continue
        lost = [name for name, setting in _plain(value).items() if _plain(copy).get(name) != setting]
        if not lost:
            _carry_exclusions(value, copy)
            return copy
        why = why or f"a copy has another {lost[0]!r}"
    raise InputError(_not_copied(value, where, why))


def _from_arguments(value: Any) -> Any:
    """Make one of the user's again whose config lacks arguments: what it keeps under their names."""
    known = {**vars(value), **_config(value)}
    named = inspect.signature(type(value)).parameters
    return type(value)(**{name: known[name] for name in named if name in known})


def _from_attributes(value: Any) -> Any:
    """Make an optimizer of the user's again without its constructor: Keras's part, then what it keeps."""
    if not isinstance(value, keras.optimizers.Optimizer):
        raise TypeError("it is no optimizer")
    made: Any = object.__new__(type(value))
    base: Any = next(base for base in type(value).__mro__ if is_library(base))
    rate = rate_of(value) or float(value.learning_rate)
    base.__init__(made, **base.get_config(value) | {"learning_rate": rate})
    for name, setting in own_attributes(value).items():
        if not hasattr(made, name) or name in _plain(value):
            setattr(made, name, setting)
    return made


def _carry_exclusions(value: Any, copy: Any) -> None:
    """Exclude the same names from weight decay: an optimizer's config does not tell them."""
    for one, other in ((value, copy), *_inner(value, copy)):
        pattern = excluded_pattern(one)
        if pattern is not None:
            other.exclude_from_weight_decay(var_names=[pattern.pattern])


def _inner(value: Any, copy: Any) -> list[tuple[Any, Any]]:
    """Return the optimizers that a loss scaler wraps."""
    inner = getattr(value, "inner_optimizer", None)
    return [] if inner is None else [(inner, copy.inner_optimizer)]


def _not_copied(value: Any, where: str, why: str) -> str:
    return (
        f"{where} is an instance of {type(value).__name__} that cannot be copied from its get_config(): "
        f"{why}. Each twin needs its own, so let its get_config return every argument of the constructor"
    )


def _plain(value: Any) -> dict[str, Any]:
    """Return the constructor arguments kept as plain attributes: a copy must have them alike.

    An optimizer of the user's own may also act on what was set after it was made.
    """
    names = [*inspect.signature(type(value)).parameters, "_fn_kwargs"]
    if isinstance(value, keras.optimizers.Optimizer) and not is_keras(type(value)):
        names += [name for name in vars(value) if not name.startswith("_") and name not in {"built", "name"}]
    return {name: vars(value)[name] for name in names if isinstance(vars(value).get(name), _PLAIN)}


def custom_objects(thing: Any) -> dict[str, Any]:
    """Return the classes and functions outside Keras that a model or other Keras object uses, by name."""
    found: dict[str, Any] = {}
    parts = layers_within(thing, itself=True) if isinstance(thing, keras.Layer) else [thing]
    for part in parts:
        for value in (part, *vars(part).values()):
            target = value if isinstance(value, FunctionType) else type(value)
            if (target is value or hasattr(value, "get_config")) and not is_keras(target):
                found.setdefault(target.__name__, target)
    return found
