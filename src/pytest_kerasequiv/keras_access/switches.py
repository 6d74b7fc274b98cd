"""Switches of the process that user code may turn for everybody: they come back as they were."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.debug.lib import check_numerics_callback

Restore = Callable[[], None]
Switch = tuple[Callable[[], Any], Callable[[Any], Any]]
"""What reads a setting, and what sets it."""


def _either(turn_on: Callable[[], Any], turn_off: Callable[[], Any]) -> Callable[[Any], Any]:
    return lambda is_on: (turn_on if is_on else turn_off)()


def _set_environment(variables: dict[str, str]) -> None:
    for name in os.environ.keys() - variables.keys():
        del os.environ[name]
    os.environ.update(variables)


_CONFIG: Any = keras.config
READ_BY_CODE: tuple[Switch, ...] = (
    (lambda: dict(os.environ), _set_environment),
    (
        lambda: global_state.get_global_attribute("dtype_policy"),
        lambda policy: global_state.set_global_attribute("dtype_policy", policy),
    ),
    (_CONFIG.floatx, _CONFIG.set_floatx),
    (_CONFIG.epsilon, _CONFIG.set_epsilon),
    (_CONFIG.image_data_format, _CONFIG.set_image_data_format),
)
"""The environment and settings of Keras: code that runs later may decide by them what it computes."""

_SWITCHES: tuple[Switch, ...] = (
    (tf.config.functions_run_eagerly, tf.config.run_functions_eagerly),
    (tf.config.get_soft_device_placement, tf.config.set_soft_device_placement),
    (tf.config.optimizer.get_jit, lambda jit: tf.config.optimizer.set_jit(jit or False)),
    (
        tf.config.experimental.tensor_float_32_execution_enabled,
        tf.config.experimental.enable_tensor_float_32_execution,
    ),
    (
        lambda: hasattr(check_numerics_callback._state, "check_numerics_callback"),
        _either(tf.debugging.enable_check_numerics, tf.debugging.disable_check_numerics),
    ),
    (
        _CONFIG.is_interactive_logging_enabled,
        _either(_CONFIG.enable_interactive_logging, _CONFIG.disable_interactive_logging),
    ),
    (
        _CONFIG.is_traceback_filtering_enabled,
        _either(_CONFIG.enable_traceback_filtering, _CONFIG.disable_traceback_filtering),
    ),
    (
        lambda: global_state.get_global_attribute("safe_mode_saving"),
        lambda safe: global_state.set_global_attribute("safe_mode_saving", safe),
    ),
    *(
        (getattr(_CONFIG, name), getattr(_CONFIG, f"set_{name}"))
        # Version switch: older Keras has none of these. Goes when the floor is Keras 3.11.
        for name in ("max_epochs", "max_steps_per_epoch")
        if hasattr(_CONFIG, name)
    ),
    (np.geterr, lambda handling: np.seterr(**handling)),
    *READ_BY_CODE,
)


def switches() -> Restore:
    """Take the switches of TensorFlow, Keras and NumPy, and the environment; return what puts them back."""
    before = [(read, write, read()) for read, write in _SWITCHES]

    def restore() -> None:
        for read, write, value in before:
            if read() != value:
                write(value)

    return restore


def working_folder() -> Restore:
    """Take the working folder; one that is gone cannot be put back."""
    try:
        before = Path.cwd()
    except OSError:
        return lambda: None

    def restore() -> None:
        with contextlib.suppress(OSError):
            os.chdir(before)

    return restore
