"""The caller's world comes back: random states, names, settings."""

import os
import random
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.backend.common import global_state
from tensorflow.python.debug.lib.check_numerics_callback import _state
from tensorflow.python.framework import config

from pytest_kerasequiv.keras_access.random_state import fresh_names, preserved_state, seeded


def draws():
    return (
        random.random(),
        np.random.rand(),  # noqa: NPY002 - the legacy global state is the subject
        float(tf.random.uniform(())),
        float(keras.random.uniform(())),
        float(tf.random.get_global_generator().uniform(())),
    )


def disturb():
    keras.utils.set_random_seed(99)
    keras.random.uniform(())
    tf.random.get_global_generator().reset_from_seed(5)
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2), keras.layers.Dropout(0.5)])


def start():
    global_state.set_global_attribute("global_seed_generator", None)  # Keras before 3.13 keeps it
    keras.utils.set_random_seed(3)
    tf.random.set_global_generator(tf.random.Generator.from_seed(7))
    keras.random.uniform(())


def test_random_states_come_back():
    start()
    expected = [draws(), draws()]
    start()
    found = [draws()]
    with preserved_state():
        disturb()
    found.append(draws())
    assert found == expected


def test_what_keras_draws_without_a_seed_follows_the_seed():
    keras.random.uniform(())
    drawn = []
    for _ in range(2):
        with seeded(3):
            drawn.append(float(keras.random.uniform(())))
    assert drawn[0] == drawn[1]


def test_the_state_comes_back_after_an_error():
    keras.utils.set_random_seed(3)
    expected = random.random()
    keras.utils.set_random_seed(3)

    def fail():
        with preserved_state():
            disturb()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert random.random() == expected


def test_a_world_without_seed_stays_without_seed():
    tf.random.set_seed(None)
    global_state.set_global_attribute("global_random_seed", None)
    with seeded(4):
        pass
    assert global_state.get_global_attribute("global_random_seed") is None
    first = float(tf.random.uniform(()))
    assert first != float(tf.random.uniform(()))


def test_names_settings_and_determinism_come_back():
    keras.layers.Dense(1)
    following = keras.layers.Dense(1).name
    number = int(following.rpartition("_")[2])
    policy = keras.config.dtype_policy().name
    with preserved_state():
        keras.layers.Dense(1)
        keras.config.set_floatx("float64")
        keras.config.set_epsilon(1e-3)
        keras.config.set_image_data_format("channels_first")
        keras.config.set_dtype_policy("mixed_float16")
        tf.config.experimental.enable_op_determinism()
    assert keras.layers.Dense(1).name == f"dense_{number + 1}"
    assert keras.config.floatx() == "float32"
    assert keras.config.epsilon() == 1e-7
    assert keras.config.image_data_format() == "channels_last"
    assert keras.config.dtype_policy().name == policy
    assert not config.is_op_determinism_enabled()


def test_determinism_of_the_caller_survives_a_block_that_ends_it():
    tf.config.experimental.enable_op_determinism()
    try:
        with preserved_state():
            config.disable_op_determinism()
        assert config.is_op_determinism_enabled()
    finally:
        config.disable_op_determinism()


def test_clear_session_inside_is_undone():
    keras.layers.Dense(1)
    number = int(keras.layers.Dense(1).name.rpartition("_")[2])
    with preserved_state():
        keras.utils.clear_session()
    assert keras.layers.Dense(1).name == f"dense_{number + 1}"


@pytest.mark.parametrize("seed", [0, 7, np.int64(7)])
def test_one_seed_gives_one_model(seed):
    def kernel():
        with seeded(seed):
            return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)]).get_weights()[0]

    assert (kernel() == kernel()).all()


def test_seeds_differ():
    with seeded(1):
        one = random.random()
    with seeded(2):
        other = random.random()
    assert one != other


def test_fresh_names_begin_at_zero():
    keras.layers.Dense(1)
    with fresh_names():
        assert keras.layers.Dense(1).name == "dense"
    assert keras.layers.Dense(1).name != "dense"


TURNED = {
    "folder": (lambda: os.chdir("/"), Path.cwd),
    "environment": (lambda: os.environ.update(KERASEQUIV_NEW="1", HOME="x"), lambda: dict(os.environ)),
    "less environment": (lambda: os.environ.pop("PATH"), lambda: dict(os.environ)),
    "eager functions": (lambda: tf.config.run_functions_eagerly(True), tf.config.functions_run_eagerly),
    "placement": (lambda: tf.config.set_soft_device_placement(False), tf.config.get_soft_device_placement),
    "jit": (lambda: tf.config.optimizer.set_jit("autoclustering"), tf.config.optimizer.get_jit),
    "tf32": (
        lambda: tf.config.experimental.enable_tensor_float_32_execution(False),
        tf.config.experimental.tensor_float_32_execution_enabled,
    ),
    "numerics": (tf.debugging.enable_check_numerics, lambda: hasattr(_state, "check_numerics_callback")),
    "logging": (keras.config.disable_interactive_logging, keras.config.is_interactive_logging_enabled),
    "traces": (keras.config.disable_traceback_filtering, keras.config.is_traceback_filtering_enabled),
    "unsafe": (
        keras.config.enable_unsafe_deserialization,
        lambda: global_state.get_global_attribute("safe_mode_saving"),
    ),
    "epochs": (lambda: keras.config.set_max_epochs(1), getattr(keras.config, "max_epochs", int)),
    "numpy": (lambda: np.seterr(over="ignore"), np.geterr),
    "policy": (
        lambda: keras.config.set_dtype_policy("mixed_float16"),
        lambda: keras.config.dtype_policy().name,
    ),
}


@pytest.mark.parametrize("kind", TURNED)
def test_switches_of_the_process_come_back(kind):
    turn, read = TURNED[kind]
    if kind == "epochs" and not hasattr(keras.config, "max_epochs"):
        pytest.skip("this Keras does not have it")
    before = read()
    with preserved_state():
        turn()
        assert read() != before
    assert read() == before


def test_a_folder_that_is_gone_stops_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tmp_path.rmdir()
    with preserved_state():
        os.chdir("/")
    assert Path.cwd() == Path("/")
