"""How long an answer takes, and how much memory: proved twins, unproved ones, different ones, a gate.

    python benchmarks/answers.py                            # everything, about ten minutes
    python benchmarks/answers.py proved different           # some parts
    python benchmarks/answers.py proved --row question      # one row of a part
    python benchmarks/answers.py --repeats 1

Each part runs in a process of its own. Times are medians over the repeats, told as wall seconds and as CPU
seconds over all cores: on a machine that does other work too, only the latter mean something. The yardstick
is what Keras needs to build the model twice and to trace one training step of it (forward, a mean square,
all gradients), measured between the comparisons.

    start      what a fresh process pays before the first check: imports, then the first comparison's extra
    proved     `compare` of equal twins, as a multiple of the yardstick and in seconds
    different  `compare` of twins with one other setting
    unproved   `compare` of ResNet50 (224) with a rewrite of it, in seconds and copies of its weights
    gate       `pytest --kerasequiv` over 30 declared pairs of small models, beyond what collecting them costs
    growth     memory of a process over 200 comparisons
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE / "_answers")  # this folder has a statistics.py of its own

COMPILE = {"optimizer": "adam", "loss": "mse"}
PAIRS_OF_GATE = 30
COMPARISONS = 200


class Seconds(NamedTuple):
    """What something took."""

    wall: float
    cpu: float


def timed(action: Callable[[], Any], who: int = resource.RUSAGE_SELF) -> Seconds:
    """Run an action and tell what it took; CPU seconds of this process, or of its children.

    Garbage is collected before it, or each would pay for what the one before has left.
    """
    gc.collect()
    started, before = time.perf_counter(), resource.getrusage(who)
    action()
    after = resource.getrusage(who)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Seconds(time.perf_counter() - started, cpu)


def median(times: list[Seconds]) -> Seconds:
    """Return the medians of several times."""
    return Seconds(*(sorted(each)[len(each) // 2] for each in zip(*times, strict=True)))


def told(seconds: Seconds) -> str:
    """Return a time as text."""
    return f"{seconds.wall:6.2f} s wall, {seconds.cpu:6.2f} s CPU"


def yardstick(build: Callable[[], Any]) -> None:
    """Do what is 1: build the model twice, and trace one training step of one."""
    import tensorflow as tf

    build()
    model = build()

    def step(*inputs: Any) -> Any:
        with tf.GradientTape() as tape:
            outputs = tf.nest.flatten(model(list(inputs) if len(inputs) > 1 else inputs[0], training=True))
            loss = tf.add_n([tf.reduce_mean(output**2) for output in outputs])
        return tape.gradient(loss, [variable.value for variable in model.trainable_variables])

    specs = [tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype) for tensor in model.inputs]
    tf.function(step, autograph=False).get_concrete_function(*specs)


def start(_: argparse.Namespace) -> None:
    """Print what comes before the first check, in this fresh process."""
    libraries = timed(lambda: __import__("keras"))
    own = timed(lambda: __import__("pytest_kerasequiv.comparing"))
    import models

    from pytest_kerasequiv import compare

    times = [timed(lambda: compare(models.mlp(), models.mlp(), compile=COMPILE)) for _ in range(4)]
    print(f"imports: Keras and TensorFlow {told(libraries)}; the plugin's own {told(own)}")
    print(f"a small MLP, proved: first {told(times[0])}; then {told(median(times[1:]))}")


def proved(asked: argparse.Namespace) -> None:
    """Print what a whole comparison of equal twins costs."""
    import models

    for name, twins, target in models.PROVED:
        if asked.row and name not in asked.row:
            continue
        _compared(models.mlp(), models.mlp())
        ones, wholes = [], []
        for _ in range(asked.repeats):
            ones.append(timed(lambda twins=twins: yardstick(twins[1])))
            wholes.append(timed(lambda twins=twins: _expect("EQUIVALENT", "PROVED", *twins)))
        one, whole = median(ones), median(wholes)
        ratio = [f"{w / o:.1f}" for w, o in zip(whole, one, strict=True)]
        print(
            f"{name:18} {told(whole)}; Keras alone {told(one)}: {ratio[0]} times, by CPU {ratio[1]}, "
            f"target {target}",
            flush=True,
        )


def different(asked: argparse.Namespace) -> None:
    """Print what it costs to find one other setting."""
    import models

    for name, twins, target in models.DIFFERENT:
        if asked.row and name not in asked.row:
            continue
        _compared(models.mlp(), models.mlp())
        times = [timed(lambda twins=twins: _expect("DIFFERENT", None, *twins)) for _ in range(asked.repeats)]
        print(f"{name:36} {told(median(times))}, target {target} s", flush=True)


def unproved(_: argparse.Namespace) -> None:
    """Print what ResNet50 against a rewrite of itself costs, in time and in memory; one repeat."""
    import models
    import numpy as np

    from pytest_kerasequiv import Twins, compare

    twins = Twins(*models.REWRITTEN, compile={"optimizer": "adam", "loss": "categorical_crossentropy"})
    weights = sum(np.prod(v.shape) * 4 for v in twins.reference.variables) / 2**20
    _ = twins.candidate
    before = _resident()
    with _peak() as peak:
        report = None

        def run() -> None:
            nonlocal report
            report = compare(twins)

        spent = timed(run)
    print(f"ResNet50 (224) rewritten: {report.verdict.name} {told(spent)}, target 80 s")
    for result in report.checks.values():
        print(f"  {result.name:10} {result.verdict.name:12} {result.seconds:6.1f} s wall")
    grown = max(peak) - before
    print(
        f"  grew by {grown:.0f} MB beyond the built twins: {grown / weights:.1f} copies of the weights "
        f"({weights:.0f} MB), target 6"
    )


def gate(_: argparse.Namespace) -> None:
    """Print what a session over declared pairs costs, beyond collecting them."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "models.py").write_text(
            (HERE / "_answers" / "models.py").read_text(encoding="utf-8"), encoding="utf-8"
        )
        (place / "pyproject.toml").write_text(_declared(), encoding="utf-8")
        collecting = timed(lambda: _pytest(place, "--collect-only"), resource.RUSAGE_CHILDREN)
        running = timed(lambda: _pytest(place), resource.RUSAGE_CHILDREN)
    spent = Seconds(*[(a - b) / PAIRS_OF_GATE for a, b in zip(running, collecting, strict=True)])
    print(
        f"gate of {PAIRS_OF_GATE} pairs: collecting {told(collecting)}, all {told(running)}, "
        f"a pair {told(spent)}, target 1 s"
    )


def _declared() -> str:
    import models

    names = sorted(models.SMALL)
    lines = ["[tool.pytest.ini_options]", 'pythonpath = ["."]']
    for number in range(PAIRS_OF_GATE):
        name = names[number % len(names)]
        lines += [
            "[[tool.kerasequiv.twins]]",
            f'name = "{name}{number}"',
            f'reference = "models:{name}_reference"',
            f'candidate = "models:{name}_candidate"',
            'compile = { optimizer = "adam", loss = "mse" }',
        ]
    return "\n".join(lines)


def _pytest(place: Path, *options: str) -> None:
    command = [sys.executable, "-m", "pytest", "--kerasequiv", "-q", "-p", "no:cacheprovider", *options]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    # a session of declared pairs without data executes no repeated training, and is told so
    if f"{PAIRS_OF_GATE * 7} passed" not in done.stdout and not options:
        print(done.stdout[-1500:])


def growth(asked: argparse.Namespace) -> None:
    """Print how memory grows over many comparisons in one process."""
    import models

    sizes = []
    for number in range(asked.comparisons):
        one, other = models.SMALL[sorted(models.SMALL)[number % len(models.SMALL)]]
        _compared(one, other)
        if number % 20 == 19:
            gc.collect()
            sizes.append(_resident())
    told_sizes = " ".join(f"{size:.0f}" for size in sizes)
    later = (sizes[-1] - sizes[0]) / max(asked.comparisons - 20, 1)
    print(f"MB after every 20 of {asked.comparisons} comparisons: {told_sizes}; {later:+.2f} MB each")


def _compared(reference: Any, candidate: Any) -> Any:
    from pytest_kerasequiv import compare

    return compare(reference, candidate, compile=COMPILE)


def _expect(verdict: str, evidence: str | None, *twins: Any) -> None:
    report = _compared(*twins)
    found = report.verdict.name, report.evidence and report.evidence.name
    if found[0] != verdict or (evidence is not None and found[1] != evidence):
        print(f"unexpected: {found}\n{report}"[:1500])


@contextmanager
def _peak() -> Iterator[list[float]]:
    """Note the resident size every 10 ms into the list that is given."""
    sizes, over = [_resident()], threading.Event()

    def watch() -> None:
        while not over.wait(0.01):
            sizes.append(_resident())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield sizes
    finally:
        over.set()
        watcher.join()


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


PARTS = {part.__name__: part for part in (start, proved, different, unproved, gate, growth)}


def main() -> None:
    """Run the parts that are asked for, each in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--row", nargs="*", default=[], help="only these rows of a part")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--comparisons", type=int, default=COMPARISONS)
    parser.add_argument("--asked", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.asked:
        PARTS[asked.asked](argparse.Namespace(**json.loads(os.environ["ANSWERS"])))
        return
    unknown = set(asked.parts) - set(PARTS)
    if unknown:
        parser.error(f"no part {unknown.pop()!r}; there are {', '.join(PARTS)}")
    settings = os.environ | {"ANSWERS": json.dumps(vars(asked))}
    for part in asked.parts or PARTS:
        print(f"== {part}", flush=True)
        subprocess.run([sys.executable, __file__, "--asked", part], env=settings, check=True)


if __name__ == "__main__":
    main()
