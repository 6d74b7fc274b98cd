"""What the structural checks cost: the question's twins, chains, and the architectures of keras.applications.

For each row both twins are built, then ``graph``, ``program`` and ``weights`` run once on them. The yardstick
is what Keras itself needs to build the model twice and to trace it once: its forward pass, and, beside it,
one training step (forward, loss and gradients), which is what ``program`` has to trace of both.

    python benchmarks/structure.py                       # question, chains, a few architectures
    python benchmarks/structure.py --all                 # every architecture of keras.applications
    python benchmarks/structure.py --row ResNet50        # one row
    python benchmarks/structure.py --checks graph weights

A check that is not there yet is left out. Memory is the peak that Python objects reach during a check
(``tracemalloc``, in a second run, since tracing slows it down).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# other benchmarks in this folder are called like modules of the standard library
sys.path[:] = [path for path in sys.path if Path(path).resolve() != Path(__file__).resolve().parent]

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

CHECKS = ("graph", "program", "weights")
CHAINS = (10, 100, 1000)
FEW = ("MobileNetV2", "ResNet50", "EfficientNetB0", "DenseNet121")
SMALLEST = {
    "Xception": 71,
    "InceptionV3": 75,
    "InceptionResNetV2": 75,
    "NASNetMobile": 224,
    "NASNetLarge": 331,
}
"""Smallest side of the image where it is not 32."""

Builder = Callable[[], Any]


def question(functional: bool) -> Builder:
    """The two forecasters of the question."""

    def build() -> Any:
        import keras
        from keras import layers

        stack = [
            layers.Conv1D(4, 7, activation="relu"),
            layers.Conv1D(6, 11, activation="relu"),
            layers.LSTM(100, return_sequences=True, activation="relu"),
            layers.Dropout(0.2),
            layers.LSTM(100, activation="relu"),
            layers.Dense(2, activation="relu"),
            layers.Reshape((1, 2)),
        ]
        inputs = keras.Input((60, 2))
        if not functional:
            return keras.Sequential([inputs, *stack])
        outputs = inputs
        for layer in stack:
            outputs = layer(outputs)
        return keras.Model(inputs, outputs)

    return build


def chain(length: int) -> Builder:
    """A chain of Dense layers."""

    def build() -> Any:
        import keras
        from keras import layers

        sys.setrecursionlimit(
            max(sys.getrecursionlimit(), 20 * length + 1000)
        )  # Keras's own graph search recurses
        outputs = inputs = keras.Input((8,))
        for _ in range(length):
            outputs = layers.Dense(8, activation="relu")(outputs)
        return keras.Model(inputs, outputs)

    return build


def application(name: str) -> Builder:
    """An architecture of keras.applications at its smallest input, with fresh weights."""

    def build() -> Any:
        import keras

        side = SMALLEST.get(name, 32)
        return getattr(keras.applications, name)(weights=None, input_shape=(side, side, 3), include_top=False)

    return build


def applications() -> list[str]:
    """Names of all architectures."""
    import keras

    return [
        name
        for name in sorted(dir(keras.applications))
        if name[0].isupper() and callable(getattr(keras.applications, name))
    ]


def rows(wanted: Sequence[str], *, every: bool) -> dict[str, tuple[Builder, Builder]]:
    """Name of the row -> the builders of its twins."""
    found: dict[str, tuple[Builder, Builder]] = {"question": (question(False), question(True))}
    found |= {f"chain of {length}": (chain(length), chain(length)) for length in CHAINS}
    names = applications() if every or wanted else FEW
    found |= {name: (application(name), application(name)) for name in names}
    return {name: pair for name, pair in found.items() if not wanted or name in wanted}


def measure(name: str, builders: tuple[Builder, Builder], checks: Sequence[str], *, memory: bool) -> None:
    """Print one row."""
    import keras

    from pytest_kerasequiv.building.twins import Twins
    from pytest_kerasequiv.checks.ladder import LADDER
    from pytest_kerasequiv.checks.pair import Pair

    keras.backend.clear_session()
    twins = Twins(*builders, name=name)
    started = time.perf_counter()
    _ = twins.reference, twins.candidate
    build = time.perf_counter() - started
    trace = _traced(twins.reference)
    step = _traced_step(twins.reference)
    cells, total = [], 0.0
    pair = Pair(twins)
    for check in checks:
        run = LADDER[check]
        started = time.perf_counter()
        result = run(pair)
        seconds = time.perf_counter() - started
        total += seconds
        ratio = seconds / (build + trace)
        cells.append(f"{check} {seconds:7.2f} s = {ratio:5.2f} x {result.verdict.value:<12}")
    if memory:
        peaks = ", ".join(f"{check} {peak:.1f}" for check, peak in _peaks(twins, checks).items())
        cells.append(f"peak MB: {peaks}")
    layers = len(twins.reference.layers)
    print(
        f"{name:<20} {layers:5d} layers, build twice {build:6.2f} s, trace {trace:6.2f} s | "
        + " | ".join(cells)
    )
    print(
        f"{'':<20} all checks {total:.2f} s = {total / (build + trace):.2f} x, "
        f"or {total / (build + step):.2f} x where a training step is traced ({step:.2f} s)",
        flush=True,
    )


def _traced(model: Any) -> float:
    """Return how long tracing the model's forward pass once takes."""
    import tensorflow as tf

    started = time.perf_counter()
    specs = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for tensor in model.inputs]
    tf.function(lambda *x: model(list(x) if len(x) > 1 else x[0], training=False)).get_concrete_function(
        *specs
    )
    return time.perf_counter() - started


def _traced_step(model: Any) -> float:
    """Return how long tracing one training step takes: forward in training mode, a loss, all gradients."""
    import tensorflow as tf

    def step(*inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = model(list(inputs) if len(inputs) > 1 else inputs[0], training=True)
            loss = tf.add_n([tf.reduce_mean(output**2) for output in tf.nest.flatten(outputs)])
        return tape.gradient(loss, [variable.value for variable in model.trainable_variables])

    started = time.perf_counter()
    specs = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for tensor in model.inputs]
    tf.function(step, autograph=False).get_concrete_function(*specs)
    return time.perf_counter() - started


def _peaks(twins: Any, checks: Sequence[str]) -> dict[str, float]:
    """Return the peak of Python objects in each check, in MB beyond what there was before it."""
    from pytest_kerasequiv.checks.ladder import LADDER
    from pytest_kerasequiv.checks.pair import Pair

    pair = Pair(twins)
    found = {}
    tracemalloc.start()
    for check in checks:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        LADDER[check](pair)
        found[check] = (tracemalloc.get_traced_memory()[1] - before) / 1e6
    tracemalloc.stop()
    return found


def main() -> None:
    """Run the rows that were asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--all", action="store_true", help="every architecture of keras.applications")
    parser.add_argument("--row", nargs="*", default=[], help="only these rows")
    parser.add_argument("--checks", nargs="*", default=list(CHECKS), choices=CHECKS)
    parser.add_argument("--memory", action="store_true", help="measure the peak of Python objects too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, builders in rows(options.row, every=options.all).items():
        try:
            measure(name, builders, options.checks, memory=options.memory)
        except Exception as error:  # one row that fails must not hide the others
            print(f"{name:<20} FAILED: {type(error).__name__}: {str(error)[:200]}", flush=True)


if __name__ == "__main__":
    main()
