"""Modules of Keras and TensorFlow that are not public, for the rooms above."""

from __future__ import annotations

from keras.src.backend import compute_output_spec, random
from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.trainers.data_adapters.array_data_adapter import ArrayDataAdapter
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights
from keras.src.utils import python_utils
from keras.src.utils.naming import to_snake_case
from tensorflow.python.framework import config, op_def_registry

__all__ = [
    "ArrayDataAdapter",
    "class_weight_to_sample_weights",
    "compute_output_spec",
    "config",
    "global_state",
    "op_def_registry",
    "python_utils",
    "random",
    "seed_generator",
    "to_snake_case",
]
