"""What the engine ``vectorized`` can train, decided without training: else the reason why not."""

from __future__ import annotations

from typing import Any

import keras

from pytest_kerasequiv.keras_access.layers import layers_within
from pytest_kerasequiv.keras_access.optimizer_state import ELEMENTWISE, excludes_from_decay
from pytest_kerasequiv.keras_access.origin import is_keras, replaced
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.starts.reuse import compiled_parts

_STEPS = ("train_step", "test_step", "compute_loss", "compute_metrics", "fit", "evaluate")


FEW_SEEDS = 3
"""Below this many seeds one program for all costs more to trace than it saves."""


def vectorizes(plan: Training) -> bool:
    """Tell whether a plan asks for all seeds in one program, as far as the model allows."""
    if plan.engine_name == "fit" or plan.fit is not None or plan.fit_alone is not None:
        return False
    return len(plan.seed_values) >= FEW_SEEDS


def unsupported(model: keras.Model, plan: Training) -> str | None:
    """Say why a model cannot be trained by all seeds in one program, or ``None``."""
    if plan.fit is not None:
        return "it trains with your own fit"
    return _model_reason(model) or _optimizer_reason(model.optimizer) or _weight_reason(model)


def own_step(model: keras.Model) -> str | None:
    """Name a method of training that the model's class writes itself, or ``None``."""
    own = (name for name in _STEPS if getattr(type(model), name) is not getattr(keras.Model, name))
    return next(own, None)


def _model_reason(model: keras.Model) -> str | None:
    for what, value in compiled_parts(model):
        for name in replaced(value):
            return f"{what} has another {name} set on it"
    own = own_step(model)
    if own is not None:
        return f"the model has its own {own}"
    if model.steps_per_execution != 1:
        return "the model takes several steps per execution"
    if model.run_eagerly:
        return "the model runs eagerly"
    if model.jit_compile:
        return "the model is compiled by XLA, which draws other dropout masks"
    if keras.mixed_precision.dtype_policy().name != "float32" or any(
        getattr(layer.dtype_policy, "name", "") != "float32" for layer in layers_within(model, itself=True)
    ):
        return "a layer has a dtype policy other than float32"
    return None


def _optimizer_reason(optimizer: Any) -> str | None:
    name = type(optimizer).__name__
    if not is_keras(optimizer) or name not in ELEMENTWISE:
        return f"the optimizer {name} does not work element by element"  # else stacked weights change nothing
    for setting in (
        "clipnorm",
        "global_clipnorm",
        "use_ema",
        "loss_scale_factor",
        "gradient_accumulation_steps",
    ):
        if getattr(optimizer, setting, None):
            return f"the optimizer uses {setting}"
    if excludes_from_decay(optimizer):
        return "the optimizer excludes variables from weight decay"
    if optimizer.built and any(float(v.numpy().sum()) for v in optimizer.variables[:1]):
        return "the builder has trained the model already"
    return None


def _weight_reason(model: keras.Model) -> str | None:
    for variable in model.trainable_variables:
        if variable.constraint is not None:
            return f"weight {variable.path!r} has a constraint"
    if not model.trainable_variables:
        return "the model has no trainable weights"
    return None
