"""Comparing how the twins are compiled: the optimizer field by field, loss, loss weights and metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.models.compiling import compile_settings, excluded_from_weight_decay
from pytest_kerasequiv.models.configs import canonical, shown
from pytest_kerasequiv.verdict import Finding

if TYPE_CHECKING:
    import keras

ONLY_SPEED = ("run_eagerly", "steps_per_execution", "jit_compile", "auto_scale_loss")
"""Settings that change how a step is run, not what it computes (beyond rounding)."""


def settings_of(model: keras.Model) -> dict[str, Any] | None:
    """Return a model's compile settings as plain, canonical data; ``None`` where it is not compiled.

    Keys are Keras's own names, dotted: ``"optimizer"`` (the class), ``"optimizer.learning_rate"``,
    ``"loss"``, ``"loss.delta"``, ``"loss_weights"``, ``"metrics"``, ``"weighted_metrics"`` and those of
    `ONLY_SPEED`.
    """
    raw = compile_settings(model)
    if raw is None:
        return None
    found = _optimizer(model.optimizer)
    excluded = excluded_from_weight_decay(model)
    if excluded:
        found["optimizer.exclude_from_weight_decay"] = excluded
    found |= _losses(raw.get("loss"))
    found["loss_weights"] = _loss_weights(raw.get("loss_weights"))
    for name in ("metrics", "weighted_metrics"):
        found[name] = _metrics(raw.get(name))
    return found | {name: canonical(raw.get(name)) for name in ONLY_SPEED}


def _optimizer(optimizer: Any) -> dict[str, Any]:
    if optimizer is None:
        return {"optimizer": None}
    config = {key: canonical(value) for key, value in optimizer.get_config().items() if key != "name"}
    inner = config.pop("inner_optimizer", None)
    found = {"optimizer": type(optimizer).__name__} | {f"optimizer.{key}": v for key, v in config.items()}
    return found | ({"optimizer.inner_optimizer": inner} if inner is not None else {})


def _losses(loss: Any) -> dict[str, Any]:
    if isinstance(loss, Mapping | list | tuple):
        return {"loss": _each(loss, _loss)}
    name, config = _loss(loss)
    return {"loss": name} | {f"loss.{key}": value for key, value in config.items()}


def _loss_weights(weights: Any) -> Any:
    """Return canonical loss weights; weights of 1 are the same as none."""
    import keras

    given = keras.tree.flatten(weights)
    ones = all(isinstance(one, int | float) and float(one) == 1.0 for one in given if one is not None)
    return None if ones else canonical(weights)


def _each(values: Any, read: Any) -> Any:
    if isinstance(values, Mapping):
        return {str(key): _each(value, read) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_each(value, read) for value in values]
    return read(values)


def _loss(loss: Any) -> tuple[Any, dict[str, Any]]:
    """Return the function behind a loss, so that ``"mse"`` is ``MeanSquaredError()``, and its settings."""
    import keras

    if loss is None:
        return None, {}
    resolved = keras.losses.get(loss) if isinstance(loss, str) else loss
    function = getattr(resolved, "fn", None) or resolved
    config: dict[str, Any] = dict(resolved.get_config()) if hasattr(resolved, "get_config") else {}
    config = {"reduction": "sum_over_batch_size", **config}
    kept = {k: canonical(v) for k, v in config.items() if k not in {"name", "fn", "dtype"}}
    defaults = _defaults(function)
    return _name(function), {
        k: v for k, v in kept.items() if k not in defaults or canonical(defaults[k]) != v
    }


def _defaults(function: Any) -> dict[str, Any]:
    """Return the default arguments of a loss function: a setting at its default is the same as none."""
    import inspect

    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return {}
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", None) or type(function).__name__)


def _metrics(metrics: Any) -> Any:
    return _each(metrics, _metric) if metrics is not None else []


def _metric(metric: Any) -> Any:
    """Return a metric's name: the function it averages, or its class and settings."""
    import keras

    if metric is None:
        return None
    if isinstance(metric, str) and metric in {"acc", "accuracy", "ce", "crossentropy"}:
        return {"acc": "accuracy", "ce": "crossentropy"}.get(metric, metric)
    resolved = keras.metrics.get(metric) if isinstance(metric, str) else metric
    function = getattr(resolved, "_fn", None)
    if function is not None or not hasattr(resolved, "get_config"):
        return _name(function or resolved)
    config = {k: canonical(v) for k, v in resolved.get_config().items() if k not in {"name", "dtype"}}
    return {"class": type(resolved).__name__, **config} if config else type(resolved).__name__


def compare_settings(
    check: str, reference: Mapping[str, Any] | None, candidate: Mapping[str, Any] | None
) -> list[Finding]:
    """Return a finding for every compile setting that differs.

    Args:
        check: name of the check on whose behalf.
        reference: what `settings_of` returned for the reference.
        candidate: the same for the candidate.
    """
    if reference is None and candidate is None:
        return []
    if reference is None or candidate is None:
        side = "reference" if reference is None else "candidate"
        message = f"the {side} is not compiled, the other twin is; pass compile=... to compile both alike"
        return [
            Finding(
                check, None, None, "compile", reference is not None, candidate is not None, message, "note"
            )
        ]
    classes = reference.get("optimizer"), candidate.get("optimizer")
    names = sorted({*reference, *candidate})
    if classes[0] != classes[1]:  # the settings of two kinds of optimizer are not comparable one by one
        names = [
            name for name in names if not name.startswith("optimizer.") or name == "optimizer.learning_rate"
        ]
    return [
        _finding(check, name, reference.get(name), candidate.get(name))
        for name in names
        if reference.get(name) != candidate.get(name)
    ]


def _finding(check: str, name: str, ours: Any, theirs: Any) -> Finding:
    message = (
        f"compiled with another {name}: {shown(ours)} in the reference, {shown(theirs)} in the candidate"
    )
    if name in ONLY_SPEED:
        note = "; it changes how a step is run, not what it computes"
        return Finding(check, None, None, name, ours, theirs, message + note, "note")
    return Finding(check, None, None, name, ours, theirs, message)
