"""Twenty seeds of small models: the loop people write against the engines of this plugin.

    python -P benchmarks/training.py --decision     # everything, about an hour on two cores
    python -P benchmarks/training.py --models mlp --repeats 1

Every cell runs in a process of its own, so that peak memory is its own and nothing is warm; imports and data
do not
count. Cells are interleaved: a slow minute of the machine hits all of them. "Work" is CPU time over all
cores.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WAYS = ("loop", "loop-2-processes", "fit", "vectorized")
TARGETS = {"mlp": 20.0, "question": 3.5, "cnn": 3.0, "gru": 5.0, "transformer": 6.0}


def mlp() -> tuple[Callable[[], Any], Any, int]:
    import keras
    from keras import layers

    def build() -> Any:
        model = keras.Sequential(
            [
                keras.Input((8,)),
                layers.Dense(32, activation="relu"),
                layers.Dropout(0.2),
                layers.Dense(32, activation="relu"),
                layers.Dense(1),
            ]
        )
        model.compile("adam", "mse", metrics=["mae"])
        return model

    return build, regression((8,), 500), 20


def question() -> tuple[Callable[[], Any], Any, int]:
    sys.path.insert(0, str(ROOT / "examples" / "forecaster"))
    from forecast.data import load
    from forecast.models import functional

    def build() -> Any:
        model = functional()
        model.compile("adam", "mse", metrics=["mae"])
        return model

    return build, load(), 2


def cnn() -> tuple[Callable[[], Any], Any, int]:
    import keras
    from keras import layers

    def build() -> Any:
        stack: list[Any] = [keras.Input((16, 16, 1))]
        for filters in (16, 32):
            stack += [layers.Conv2D(filters, 3, use_bias=False), layers.BatchNormalization(), layers.ReLU()]
        stack += [layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.3), layers.Dense(1)]
        model = keras.Sequential(stack)
        model.compile("adam", "mse", metrics=["mae"])
        return model

    return build, regression((16, 16, 1), 500), 3


def gru() -> tuple[Callable[[], Any], Any, int]:
    import keras
    from keras import layers

    def build() -> Any:
        model = keras.Sequential(
            [keras.Input((20, 4)), layers.GRU(32, return_sequences=True), layers.GRU(32), layers.Dense(1)]
        )
        model.compile("adam", "mse", metrics=["mae"])
        return model

    return build, regression((20, 4), 500), 3


def transformer() -> tuple[Callable[[], Any], Any, int]:
    import keras
    from keras import layers

    def build() -> Any:
        inputs = keras.Input((20, 16))
        attended = layers.MultiHeadAttention(4, 8, dropout=0.1)(inputs, inputs)
        x = layers.LayerNormalization()(layers.Add()([inputs, attended]))
        wide = layers.Dense(16)(layers.Dense(64, activation="gelu")(x))
        x = layers.LayerNormalization()(layers.Add()([x, wide]))
        model = keras.Model(inputs, layers.Dense(1)(layers.GlobalAveragePooling1D()(x)))
        model.compile("adam", "mse", metrics=["mae"])
        return model

    return build, regression((20, 16), 500), 3


MODELS = {"mlp": mlp, "question": question, "cnn": cnn, "gru": gru, "transformer": transformer}


def regression(shape: tuple[int, ...], rows: int) -> Any:
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows + 200, *shape)).astype("float32")
    y = x.reshape(len(x), -1)[:, :3].sum(axis=1, keepdims=True) + rng.normal(size=(len(x), 1)).astype(
        "float32"
    )
    return (x[:rows], y[:rows]), (x[rows:], y[rows:])


def loop(name: str, seeds: list[int]) -> list[dict[str, float]]:
    """The loop people write today."""
    import keras

    build, (train, test), epochs = MODELS[name]()
    found = []
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        model = build()
        model.fit(*train, epochs=epochs, shuffle=False, verbose=0)
        found.append(model.evaluate(*test, verbose=0, return_dict=True))
    return found


def loop_in_two(name: str, seeds: list[int]) -> list[dict[str, float]]:
    """The same loop, half of the seeds in another process each."""
    half = len(seeds) // 2
    parts = [
        subprocess.Popen(
            cell_command(name, "loop", len(part), str(part[0])), stdout=subprocess.PIPE, text=True
        )
        for part in (seeds[:half], seeds[half:])
    ]
    found = [json.loads(part.communicate()[0].splitlines()[-1])["metrics"] for part in parts]
    return [metrics for part in found for metrics in part]


def cell_command(name: str, way: str, seeds: int, extra: str = "") -> list[str]:
    """Name the process of one cell; -P, since files beside this one are named like modules of Python."""
    return [sys.executable, "-P", __file__, "--cell", name, way, str(seeds), extra]


def engine(name: str, seeds: list[int], kind: str) -> list[dict[str, float]]:
    from pytest_kerasequiv.building.sources import source_of
    from pytest_kerasequiv.training.engines.choice import make_arm
    from pytest_kerasequiv.training.plan import Training

    build, (train, test), epochs = MODELS[name]()
    plan = Training(train, test, epochs=epochs, seeds=seeds, engine=kind)
    arm = make_arm(source_of(build, "reference", compile=None), plan, "reference")
    runs = list(arm.train(plan.seed_values))
    wrong = {run.engine for run in runs} - {kind}
    if wrong:
        raise SystemExit(f"{name} was not trained by {kind}: {arm.reason}")
    return [dict(run.metrics) for run in runs]


def decision(cache: str) -> list[dict[str, float]]:
    """The whole training check of the question's twins, cache directory given."""
    sys.path.insert(0, str(ROOT / "examples" / "forecaster"))
    from forecast.data import load
    from forecast.models import functional, sequential

    from pytest_kerasequiv.building.twins import Twins
    from pytest_kerasequiv.checks import training
    from pytest_kerasequiv.checks.pair import Pair
    from pytest_kerasequiv.training.plan import Training

    settings = {"optimizer": "adam", "loss": "mse", "metrics": ["mae"]}
    result = training.CHECK(
        Pair(Twins(sequential, functional, compile=settings)),
        training=Training(*load(), epochs=2),
        cache=cache,
    )
    return [{"n": result.figures["n"], "equivalent": float(result.verdict == "EQUIVALENT")}]


def cell(name: str, way: str, seeds: int, cache: str) -> None:
    """Run one cell and print its figures.

    Args:
        name: the model.
        way: how it is trained.
        seeds: how many seeds.
        cache: the cache directory of a decision, the first seed of a loop.
    """
    import numpy as np
    import tensorflow as tf

    tf.reduce_sum(tf.constant(np.ones(4))).numpy()
    first = int(cache) if way == "loop" and cache else 0
    listed = list(range(first, first + seeds))
    run: dict[str, Callable[[], list[dict[str, float]]]] = {
        "loop": lambda: loop(name, listed),
        "loop-2-processes": lambda: loop_in_two(name, listed),
        "fit": lambda: engine(name, listed, "fit"),
        "vectorized": lambda: engine(name, listed, "vectorized"),
        "decision": lambda: decision(cache),
    }
    __import__("pytest_kerasequiv.training.engines.choice")
    MODELS[name]()
    started, worked = time.perf_counter(), cpu_seconds()
    metrics = run[way]()
    seconds, work = time.perf_counter() - started, cpu_seconds() - worked
    peak = (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    )
    print(json.dumps({"seconds": seconds, "cpu": work, "peak_mb": peak / 1024, "metrics": metrics}))


def cpu_seconds() -> float:
    """Work of this process and its finished children on all cores: what a crowded machine distorts least."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measured(name: str, way: str, seeds: int, cache: str = "") -> dict[str, Any]:
    command = cell_command(name, way, seeds, cache)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} {way}: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    told = f"{found['seconds']:.2f} s, {found['cpu']:.2f} s of work"
    print(f"  {name} {way} {seeds}: {told}", file=sys.stderr, flush=True)
    return found


def row(name: str, seeds: int, repeats: int, ways: tuple[str, ...], loop_seeds: int) -> list[str]:
    """Measure one model by all ways, interleaved, and return the lines of its table."""
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way in ways:
            found[way].append(scaled(name, way, seeds, loop_seeds))
    base, base_work = (median(one[what] for one in found["loop"]) for what in ("seconds", "cpu"))
    lines = []
    for way in ways:
        seconds = median(one["seconds"] for one in found[way])
        work = median(one["cpu"] for one in found[way])
        gap = largest_gap(found["loop"][0]["metrics"], found[way][0]["metrics"])
        peak = median(one["peak_mb"] for one in found[way])
        target = f"{TARGETS[name]:g}" if way == "vectorized" else "1" if way == "fit" else ""
        lines.append(
            f"| {name} | {way} | {seeds} | {seconds:.2f} | {base / seconds:.2f} | {target} | {work:.2f} | "
            f"{base_work / work:.2f} | {gap:.1e} | {peak:.0f} |"
        )
    return lines


def scaled(name: str, way: str, seeds: int, loop_seeds: int) -> dict[str, Any]:
    """Measure a cell; where every seed costs the same, fewer seeds tell what all would take."""
    few = min({"vectorized": seeds, "fit": 2 * loop_seeds}.get(way, loop_seeds), seeds)
    found = measured(name, way, few)
    return found | {what: found[what] * seeds / few for what in ("seconds", "cpu")}


def median(values: Iterable[float]) -> float:
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def largest_gap(reference: list[dict[str, float]], other: list[dict[str, float]]) -> float:
    return max(abs(a[k] - b[k]) / abs(a[k]) for a, b in zip(reference, other, strict=False) for k in a)


def decisions(repeats: int, loops: list[dict[str, Any]]) -> list[str]:
    """Measure the whole decision for the question's twins: first session, second session."""
    sessions: dict[str, list[dict[str, Any]]] = {"first session": [], "second session": []}
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            for found in sessions.values():
                found.append(measured("question", "decision", 20, cache))
    base, work = (2 * median(one[what] for one in loops) for what in ("seconds", "cpu"))
    lines = [f"| loop, 20 + 20 runs | {base:.2f} | 1 | | {work:.2f} | 1 |"]
    for (what, found), target in zip(sessions.items(), (10, 50), strict=True):
        seconds, worked = (median(one[which] for one in found) for which in ("seconds", "cpu"))
        lines.append(
            f"| {what} | {seconds:.2f} | {base / seconds:.1f} | {target} | {worked:.2f} | "
            f"{work / worked:.1f} |"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument(
        "--loop-seeds", type=int, help="seeds of loop (twice as many of fit), scaled to all seeds"
    )
    parser.add_argument("--ways", nargs="*", default=list(WAYS))
    parser.add_argument(
        "--decision", action="store_true", help="also the whole decision for the question's twins"
    )
    parser.add_argument("--cell", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    loop_seeds = options.loop_seeds or options.seeds
    if options.cell:
        name, way, seeds, cache = options.cell
        cell(name, way, int(seeds), cache)
        return
    print("| model | way | seeds | seconds | faster | target | work | less work | largest gap | peak MB |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in options.models:
        lines = row(name, options.seeds, options.repeats, tuple(options.ways), loop_seeds)
        print("\n".join(lines), flush=True)
    if options.decision:
        loops = [scaled("question", "loop", options.seeds, loop_seeds) for _ in range(options.repeats)]
        print(
            "\n| whole decision | seconds | faster | target | work | less work |\n|---|---|---|---|---|---|"
        )
        print("\n".join(decisions(options.repeats, loops)))


if __name__ == "__main__":
    main()
