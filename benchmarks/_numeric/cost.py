"""Time and memory of the seven cheap checks, for the question's twins and for ResNet50.

Memory is what the process grew by (its largest resident size, less that after both twins were built, so that
the twins themselves are not in it), less the activations of one probe batch, told in copies of the
reference's variables in their own dtype; a float64 twin counts as two copies of a float32 model. Two figures
stand for the activations, both for one training batch: the sum of the sizes of all layer outputs of the
reference (what is handed on unchanged counts once), and what TensorFlow takes while Keras calls the reference
once in training mode under a gradient tape, which also keeps what layers make inside them. TensorFlow's own
count of live tensors stands beside what the process grew by: the process keeps what its pool of memory once
held. What Keras itself takes to train one ResNet50 is told last, in a process of its own: three calls of
``train_on_batch`` on two images, as Keras does it by default (traced) and run eagerly.
"""

import math
import multiprocessing
import resource
import threading
import time
from contextlib import contextmanager
from pathlib import Path

SMALL = 10
"""MB of variables below which memory is not told in copies of them: libraries and graphs outweigh them."""


def cost(*, exact):
    """Print the time and the memory of each check, for the question's twins and for ResNet50."""
    import keras
    from keras import layers

    def stack():
        return [
            layers.Conv1D(4, 7, activation="relu"),
            layers.Conv1D(6, 11, activation="relu"),
            layers.LSTM(100, activation="relu", return_sequences=True),
            layers.Dropout(0.2),
            layers.LSTM(100, activation="relu"),
            layers.Dense(2, activation="relu"),
            layers.Reshape((1, 2)),
        ]

    def functional():
        inputs = x = keras.Input((60, 2))
        for layer in stack():
            x = layer(x)
        return keras.Model(inputs, x)

    def resnet():
        return keras.applications.ResNet50(weights=None)

    question = {"input_shape": (60, 2), "loss": "mse"}
    _cost("the question's twins", lambda: keras.Sequential(stack()), functional, **question)
    _cost("ResNet50 against itself", resnet, resnet, loss="categorical_crossentropy")
    if exact:
        from deep import as_dense

        def rewritten():
            return keras.models.clone_model(resnet(), clone_function=as_dense)

        _cost("ResNet50 against a rewrite", resnet, rewritten, loss="categorical_crossentropy")
    for eagerly in (False, True):
        apart = multiprocessing.get_context("spawn").Process(target=_keras_alone, args=(eagerly,))
        apart.start()
        apart.join()
    return 0


def _keras_alone(eagerly):
    """Print what three training steps of one ResNet50 take, by Keras alone."""
    import keras
    import numpy as np

    keras.utils.set_random_seed(0)
    model = keras.applications.ResNet50(weights=None)
    model.compile("adam", "categorical_crossentropy", run_eagerly=eagerly)
    images, labels = np.random.default_rng(0).normal(size=(2, 224, 224, 3)), np.eye(1000)[:2]
    before, started = _resident(), time.perf_counter()
    with _watched() as peak:
        for _ in range(3):
            model.train_on_batch(images, labels)
    print(
        f"Keras alone, train_on_batch of one ResNet50, three times{', run eagerly' if eagerly else ''}: "
        f"{time.perf_counter() - started:.1f} s, the process grew by {max(peak) - before:.0f} MB",
        flush=True,
    )


def _cost(name, reference, candidate, *, loss, **options):
    from pytest_kerasequiv.building.twins import Twins
    from pytest_kerasequiv.comparison import Comparison, asked_checks

    started = time.perf_counter()
    comparison = Comparison(
        Twins(reference, candidate, compile={"optimizer": "adam", "loss": loss}, **options)
    )
    weights = (
        sum(v.value.dtype.size * math.prod(v.shape) for v in comparison.twins.reference.variables) / 2**20
    )
    built = time.perf_counter() - started
    before, tensors, results, peaks = _resident(), _live_tensors("current"), [], []
    for check in asked_checks(None, None):
        with _watched() as peak:
            results.append(comparison.check(check))
        peaks.append((max(peak) - before, _live_tensors()))
    total = time.perf_counter() - started
    outputs, forward = _activations(comparison.pair)
    print(
        f"{name}: {total:.1f} s in all, building {built:.1f} s; one copy of the variables is {weights:.1f} "
        f"MB, the layer outputs of one batch {outputs:.0f} MB, a forward pass in training mode {forward:.0f}"
    )
    for result, (grown, live) in zip(results, peaks, strict=True):
        share = 100 * result.seconds / total
        print(
            f"  {result.name:10} {result.verdict:12} {result.seconds:6.2f} s {share:5.1f} %  "
            f"grown by {grown:5.0f} MB, live tensors {live:5.0f} MB"
        )
    for what, most in (
        ("the process grew by", max(grown for grown, _ in peaks)),
        ("live tensors grew by", max(live for _, live in peaks) - tensors),
    ):
        told = (
            f"less layer outputs {(most - outputs) / weights:.1f}, "
            f"less a forward pass {(most - forward) / weights:.1f} copies of the variables (target: 4)"
            if weights > SMALL
            else "too small a model to count"
        )
        print(f"  {what} {most:.0f} MB beyond the built twins: {told}", flush=True)


def _activations(pair):
    """Return the MB of all layer outputs of the reference for one training batch, and of its forward pass."""
    import tensorflow as tf

    from pytest_kerasequiv.checks.numeric.views import views_of
    from pytest_kerasequiv.running.layer_calls import record
    from pytest_kerasequiv.surface.probes import training_batch

    side = views_of(pair)[0]
    runner = side.runner()
    with runner.holding():
        packed = runner.pack(training_batch(side.survey(), 0).inputs)
        calls = record(runner.model, packed).calls
        outputs = [out for call in calls for out in call.outputs if out is not None]
        summed = sum({out.ctypes.data: out.nbytes for out in outputs}.values()) / 2**20
        del calls, outputs
        tf.config.experimental.reset_memory_stats("CPU:0")
        before = _live_tensors("current")
        with tf.GradientTape():
            runner.model(packed, training=True)
    return summed, _live_tensors() - before


@contextmanager
def _watched():
    """Note the resident size every 10 ms, into the list that is given."""
    import tensorflow as tf

    tf.config.experimental.reset_memory_stats("CPU:0")
    peak, over = [_resident()], threading.Event()

    def watch():
        while not over.wait(0.01):
            peak.append(_resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        over.set()
        watcher.join()
        peak.append(_resident())


def _live_tensors(which="peak"):
    """Return the MB of tensors, variables of the twins included: the most since the last reset, or now."""
    import tensorflow as tf

    return tf.config.experimental.get_memory_info("CPU:0")[which] / 2**20


def _resident():
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20
