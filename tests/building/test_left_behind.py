"""What builders leave behind is told, and does not reach the rest of the session."""

import os
import subprocess
import sys
import threading
import warnings

import keras
import pytest
from keras import ops

from pytest_kerasequiv import Evidence, Twins, Verdict, compare
from pytest_kerasequiv.building.left_behind import LeftThreadWarning, as_left


def build():
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])


def test_a_thread_that_goes_on_is_named():
    ended = threading.Event()

    def threaded():
        threading.Thread(target=ended.wait, args=(60,), name="metrics", daemon=True).start()
        return build()

    try:
        with pytest.warns(
            LeftThreadWarning, match=r"reference '.*threaded' left 1 thread running \('metrics'\)"
        ):
            _ = Twins(threaded, build).reference
    finally:
        ended.set()


def test_one_that_ends_is_not():
    def threaded():
        thread = threading.Thread(target=print)
        thread.start()
        thread.join()
        return build()

    with warnings.catch_warnings(action="error"):
        _ = Twins(threaded, build).reference


def test_one_of_another_thread_is_not_the_builders():
    begin, begun, ended = threading.Event(), threading.Event(), threading.Event()

    def other():
        begin.wait(60)
        threading.Thread(target=ended.wait, args=(60,), daemon=True).start()
        begun.set()

    def beside():
        begin.set()
        assert begun.wait(60)
        return build()

    threading.Thread(target=other).start()
    try:
        with warnings.catch_warnings(action="error"):
            _ = Twins(beside, build).reference
    finally:
        ended.set()


FORKS = """
import os
import keras
from pytest_kerasequiv import Twins

def build():
    os.fork()
    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

_ = Twins(build, lambda: build()).reference
os.wait()
print("one came out")
"""


def test_a_forked_child_that_comes_back_ends():
    result = subprocess.run(
        [sys.executable, "-c", FORKS],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.stdout.splitlines() == ["one came out"]
    assert "reference 'build' forked, and the child came back; it ends here" in result.stderr


class Reads(keras.layers.Layer):
    """Computes by a setting that it reads when it is called."""

    def __init__(self, reading, **options):
        super().__init__(**options)
        self.reading = reading

    def call(self, x):
        return ops.cast(self.reading(ops.cast(x, "float32")), "float32")


SET = {
    "environment": (
        lambda: os.environ.update(KERASEQUIV_SCALE="2"),
        lambda x: x * float(os.environ.get("KERASEQUIV_SCALE", "1")),
    ),
    "epsilon": (lambda: keras.config.set_epsilon(0.1), lambda x: x / (ops.abs(x) + keras.config.epsilon())),
    "floatx": (lambda: keras.config.set_floatx("float16"), lambda x: ops.cast(x, keras.config.floatx())),
    "policy": (
        lambda: keras.config.set_dtype_policy("mixed_float16"),
        lambda x: ops.cast(x, keras.config.dtype_policy().compute_dtype),
    ),
    "format": (
        lambda: keras.config.set_image_data_format("channels_first"),
        lambda x: x * (2.0 if keras.config.image_data_format() == "channels_first" else 1.0),
    ),
}


def reading(kind, *, turned):
    turn, read = SET[kind]

    def build():
        inputs = keras.Input((4,), dtype="float32")
        outputs = keras.layers.Dense(1, dtype="float32")(Reads(read, dtype="float32")(inputs))
        if turned:
            turn()
        return keras.Model(inputs, outputs)

    return build


@pytest.mark.parametrize("kind", SET)
def test_a_setting_that_one_builder_leaves_and_a_layer_reads_is_a_difference(kind):
    report = compare(reading(kind, turned=False), reading(kind, turned=True))
    assert report.verdict is Verdict.DIFFERENT, str(report)


@pytest.mark.parametrize("kind", SET)
def test_left_by_both_it_is_none(kind):
    report = compare(reading(kind, turned=True), reading(kind, turned=True))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED), str(report)


def test_one_that_nothing_reads_is_none():
    def noisy():
        os.environ["KERASEQUIV_LOG"] = "1"
        return build()

    report = compare(build, noisy)
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED), str(report)


def test_settings_are_left_only_while_the_model_runs():
    model = Twins(reading("environment", turned=True), build).reference
    assert "KERASEQUIV_SCALE" not in os.environ
    with as_left(model):
        assert os.environ["KERASEQUIV_SCALE"] == "2"
    assert "KERASEQUIV_SCALE" not in os.environ


def test_the_epsilon_of_a_compiled_loss_is_the_builders():
    def trained(epsilon):
        def build_trained():
            keras.config.set_epsilon(epsilon)
            model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1), keras.layers.ReLU(1.0)])
            model.compile("sgd", "binary_crossentropy")
            return model

        return build_trained

    assert compare(trained(1e-7), trained(1e-2)).verdict is not Verdict.EQUIVALENT
