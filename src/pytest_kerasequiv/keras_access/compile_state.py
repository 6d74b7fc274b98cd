"""What Keras holds of a model's compiling: the losses and metrics in force, and what was given for them."""

from __future__ import annotations

from typing import Any


def compile_record(model: Any) -> Any:
    """Return Keras's record of the arguments of ``compile``; ``None`` where there is none."""
    return getattr(model, "_compile_config", None)


def loss_in_force(model: Any) -> Any:
    """Return the compiled loss of a model; ``None`` without any."""
    return model._compile_loss


def metrics_in_force(model: Any) -> Any:
    """Return the compiled metrics of a model; ``None`` without any."""
    return getattr(model, "_compile_metrics", None)


def forget_metrics(model: Any) -> None:
    """Take the compiled metrics off a model: Keras keeps them where it is compiled again without any."""
    if metrics_in_force(model) is not None:
        model._compile_metrics = None


def given_to_loss(compiled: Any) -> dict[str, Any]:
    """Return what a compiled loss was made from."""
    return {"loss": compiled._user_loss, "loss_weights": compiled._user_loss_weights}


def given_to_metrics(compiled: Any) -> dict[str, Any]:
    """Return what compiled metrics were made from."""
    return {"metrics": compiled._user_metrics, "weighted_metrics": compiled._user_weighted_metrics}


def losses_within(compiled: Any) -> Any:
    """Return the losses of a built compiled loss, each with its path and weight."""
    return compiled._flat_losses


def leave_out_means(compiled: Any) -> None:
    """Let a compiled loss keep no means of its losses: variables, which it does not compute with."""
    vars(compiled)["_metrics"] = [None] * len(compiled._flat_losses)


def metrics_within(compiled: Any) -> tuple[Any, Any]:
    """Return the metrics of built compiled metrics by output, then the weighted ones."""
    return compiled._flat_metrics, compiled._flat_weighted_metrics


def in_order_of(compiled: Any, outputs: Any) -> Any:
    """Return a structure of outputs flat, in the order in which compiled metrics hold them."""
    return compiled._flatten_y(outputs)


def added_loss(model: Any, loss: Any) -> Any:
    """Return what a loss that a layer adds contributes to the loss of a step."""
    return model._aggregate_additional_loss(loss)


def loss_of_step(model: Any, **arguments: Any) -> Any:
    """Return the loss as ``train_step`` computes it."""
    return model._compute_loss(**arguments)


def mean_loss(model: Any) -> float:
    """Return the mean loss of the steps since it was reset."""
    return float(model._loss_tracker.result())


def wrapped_function(wrapper: Any) -> Any:
    """Return the function that a metric or loss averages; ``None`` where it computes itself."""
    return getattr(wrapper, "_fn", None)


def wrapped_arguments(wrapper: Any) -> dict[str, Any]:
    """Return what a metric or loss passes to its function."""
    return dict(getattr(wrapper, "_fn_kwargs", None) or {})


def float_type_of(loss: Any) -> str | None:
    """Return the float type that a loss casts to; ``None`` where it tells none."""
    return getattr(loss, "_dtype", None)
