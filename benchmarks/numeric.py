"""The numbers behind the numeric checks: false alarms, detection, time and memory.

    python benchmarks/numeric.py tolerance --seeds 20   # benign rewrites: multiples of S used, false alarms
    python benchmarks/numeric.py deep                   # deep models: the same, and the small faults in them
    python benchmarks/numeric.py cost                   # seven checks on the question's twins and on ResNet50

What `cost` counts as memory is said in `_numeric/cost.py`. Without `--exact` ResNet50 is compared with
itself: the program is proved and no float64 is needed. With it every 1x1 convolution is rewritten as a Dense,
and every number is measured in float64 too.

Run it on an otherwise idle machine. `tolerance` and `deep` end with status 1 on any false alarm or miss.
"""

import argparse
import os
import runpy
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE / "_numeric")  # this folder has a statistics.py of its own


def tolerance(seeds):
    """Print, for each benign rewrite, the largest multiple of S that any seed used; 64 is allowed."""
    import keras
    from measure import gradients_used, outputs_used

    from pytest_kerasequiv.building.twins import Twins
    from pytest_kerasequiv.checks.numeric.views import views_of
    from pytest_kerasequiv.checks.pair import Pair
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
            both = views_of(pair)
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


def main():
    """Run the part that is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=["tolerance", "deep", "cost"])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--exact", action="store_true", help="cost: ResNet50 against a rewrite too (minutes)")
    asked = parser.parse_args()
    from cost import cost

    failed = {
        "tolerance": lambda: tolerance(asked.seeds),
        "deep": deep,
        "cost": lambda: cost(exact=asked.exact),
    }[asked.part]()
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
