"""Memory that repeated training takes for its data, in copies of them.

python benchmarks/data_memory.py --megabytes 1000 --engine fit
"""

from __future__ import annotations

import argparse
import threading
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers

from pytest_kerasequiv import Training, compare


def build() -> keras.Model:
    model = keras.Sequential([keras.Input((256,)), layers.Dense(4), layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def other() -> keras.Model:
    x = keras.Input((256,))
    model = keras.Model(x, layers.Dense(1)(layers.Dense(4)(x)))
    model.compile("sgd", "mse")
    return model


def resident() -> int:
    """Return the memory of this process in bytes, files that are mapped left out."""
    text = Path("/proc/self/status").read_text()
    return next(1024 * int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--engine", choices=["fit", "vectorized", "auto"], default="auto")
    options = parser.parse_args()
    size = options.megabytes * 10**6
    small = np.zeros((64, 256), "float32"), np.zeros((64, 1), "float32")
    compare(build, other, training=plan(small, small, options.engine))  # what the libraries take themselves
    x = np.random.default_rng(0).random((size // 1024, 256), "float32")
    before, peak, ended = resident(), [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            peak[0] = max(peak[0], resident())

    threading.Thread(target=watch, daemon=True).start()
    started = time.process_time()
    report = compare(build, other, training=plan((x, x[:, :1]), small, options.engine))
    ended.set()
    verdict = report["training"].verdict.value
    print(
        f"{options.megabytes} MB of training data, engine {options.engine}: {verdict}; "
        f"beyond the user's own copy {(peak[0] - before) / size:.2f} copies at the peak, "
        f"{(resident() - before) / size:.2f} kept; {time.process_time() - started:.0f} s of CPU"
    )


def plan(train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], engine: str) -> Training:
    seeds = 3  # fewer go to engine fit whatever is asked for
    return Training(train, test, seeds=seeds, batch_size=4096, engine=engine, margin=1e6)


if __name__ == "__main__":
    main()
