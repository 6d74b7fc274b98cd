"""The numbers behind the numeric checks: false alarms, detection, time and memory.

    python benchmarks/numeric.py tolerance --seeds 20   # benign rewrites: multiples of S used, false alarms
    python benchmarks/numeric.py deep                   # deep models: the same, and the small faults in them
    python benchmarks/numeric.py cost                   # seven checks on the question's twins and on ResNet50

`cost` counts memory so: what the process grew by (its largest resident size, less that after both twins were
built, so that the twins themselves are not in it), less the activations of one probe batch, told in copies of
the reference's variables in their own dtype; a float64 twin counts as two copies of a float32 model. Two
figures stand for the activations, both for one training batch: the sum of the sizes of all layer outputs of
the reference (what is handed on unchanged counts once), and what TensorFlow takes while Keras calls the
reference once in training mode under a gradient tape, which also keeps what layers make inside them.
TensorFlow's own count of live tensors stands beside what the process grew by: the process keeps what its pool
of memory once held.
Without `--exact` ResNet50 is compared with itself: the program is proved and no float64 is needed. With it
every 1x1 convolution is rewritten as a Dense, and every number is measured in float64 too.

Run it on an otherwise idle machine. `tolerance` and `deep` end with status 1 on any false alarm or miss.
"""

import argparse
import math
import os
import resource
import runpy
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
SMALL = 10
"""MB of variables below which memory is not told in copies of them: libraries and graphs outweigh them."""
HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE / "_numeric")  # this folder has a statistics.py of its own


def tolerance(seeds):
    """Print, for each benign rewrite, the largest multiple of S that any seed used; 64 is allowed."""
    import keras
    from measure import gradients_used, outputs_used

    from pytest_kerasequiv.checks.pair import Pair
    from pytest_kerasequiv.checks.sides import sides_of
    from pytest_kerasequiv.models.twins import Twins
    from pytest_kerasequiv.verdict import Verdict

    rewrites = runpy.run_path(str(HERE.parent / "tests" / "faults" / "rewrites.py"))["REWRITES"]
    alarms = 0
    print(f"{'rewrite':52} {'outputs':>8} {'float64':>8} {'gradients':>9} {'float64':>8} alarms")
    for name, builders in rewrites.items():
        worst, wrong = [0.0] * 4, 0
        for seed in range(seeds):

            def build(builder, seed=seed):
                keras.utils.set_random_seed(seed)
                return builder()

            pair = Pair(Twins(*[lambda b=b: build(b) for b in builders]), seed=seed)
            both = [_with_oracle(side) for side in sides_of(pair)]
            out, grad = outputs_used(*both, seed), (Verdict.EQUIVALENT, 0.0, 0.0)
            if [v.shape for v in both[0].values] == [v.shape for v in both[1].values]:
                grad = gradients_used(*both, seed)
            found = [*out[1:], *grad[1:]]
            worst = [max(a, b) for a, b in zip(worst, found, strict=True)]
            wrong += (out[0] is Verdict.DIFFERENT) + (grad[0] is Verdict.DIFFERENT)
        alarms += wrong
        print(
            f"{name:52} {worst[0]:8.2f} {worst[1]:8.2f} {worst[2]:9.2f} {worst[3]:8.2f} {wrong}", flush=True
        )
    return alarms


def _with_oracle(side):
    from dataclasses import replace

    return replace(side, why_no_oracle=None)


def deep():
    """Print the same for the deep models, and what becomes of small faults in them."""
    from deep import DEEP, gelu_tanh, resnet50, transformer
    from measure import gradients_used, one_weight_changed, outputs_used, sides

    from pytest_kerasequiv.verdict import Verdict

    failures = 0
    for name, builders in DEEP.items():
        both = sides(*builders)
        for check, used in (("outputs", outputs_used), ("gradients", gradients_used)):
            started = time.perf_counter()
            verdict, stored, exact = used(*both)
            failures += verdict is not Verdict.EQUIVALENT
            seconds = time.perf_counter() - started
            used_up = f"stored {stored:6.2f} S, float64 {exact:6.2f} S"
            print(f"{name:24} {check:10} {verdict:12} {used_up}, {seconds:.1f} s", flush=True)
    faults = {
        "LayerNorm epsilon +0.01 %": sides(transformer, lambda: transformer(epsilon=1.0001e-3)),
        "gelu by tanh": sides(transformer, lambda: transformer(activation=gelu_tanh)),
        "one weight +1e-6": sides(transformer, transformer, change=one_weight_changed),
        "BatchNorm epsilon +0.01 %": sides(resnet50, _resnet_with_epsilon),
        "one weight +1e-6 (ResNet50)": sides(resnet50, resnet50, change=one_weight_changed),
    }
    for name, both in faults.items():
        verdict, stored, exact = outputs_used(*both)
        failures += verdict is not Verdict.DIFFERENT
        print(f"{name:35} {verdict:12} stored {stored:10.3g} S, float64 {exact:10.3g} S", flush=True)
    return failures


def _resnet_with_epsilon():
    import keras
    from deep import resnet50

    def clone(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.BatchNormalization):
            config["epsilon"] *= 1.0001
        return type(layer).from_config(config)

    return keras.models.clone_model(resnet50(), clone_function=clone)


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
    return 0


def _cost(name, reference, candidate, *, loss, **options):
    from pytest_kerasequiv.comparison import LADDER, Comparison
    from pytest_kerasequiv.models.twins import Twins

    started = time.perf_counter()
    comparison = Comparison(
        Twins(reference, candidate, compile={"optimizer": "adam", "loss": loss}, **options)
    )
    weights = (
        sum(v.value.dtype.size * math.prod(v.shape) for v in comparison.twins.reference.variables) / 2**20
    )
    built = time.perf_counter() - started
    before, tensors, results, peaks = _resident(), _live_tensors("current"), [], []
    for check in LADDER[:-1]:
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

    from pytest_kerasequiv.checks.sides import sides_of
    from pytest_kerasequiv.models.layer_calls import record
    from pytest_kerasequiv.models.probes import training_batch

    side = sides_of(pair)[0]
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


def main():
    """Run the part that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["tolerance", "deep", "cost"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--exact", action="store_true", help="cost: ResNet50 against a rewrite too (minutes)")
    asked = parser.parse_args()
    failed = {
        "tolerance": lambda: tolerance(asked.seeds),
        "deep": deep,
        "cost": lambda: cost(exact=asked.exact),
    }[asked.part]()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
