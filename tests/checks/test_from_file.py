"""Every check decides alike from observations and plans that were written to JSON and npz and read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv import Training, Twins, Verdict
from pytest_kerasequiv.building.specs import Spec
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check, completed
from pytest_kerasequiv.checks.training import Portion
from pytest_kerasequiv.plain_data import from_data, to_data
from pytest_kerasequiv.verdict import CheckResult


def mean() -> Any:
    """What takes a mask and is traced sooner than an LSTM."""
    return keras.Sequential([layers.Dense(4), layers.GlobalAveragePooling1D()])


def net(
    *extra: Any,
    summed: Any = mean,
    activation: str = "relu",
    rate: float = 0.3,
    table: float | None = None,
    compiled: tuple[str, list[str]] = ("sgd", []),
) -> Any:
    def build() -> keras.Model:
        inputs = keras.Input((6, 3), name="steps")
        x = summed()(layers.Masking(name="mask")(inputs))
        x = layers.BatchNormalization(name="norm")(layers.Dense(5, activation=activation, name="dense")(x))
        for make in extra:
            x = make()(x)
        model = keras.Model(inputs, {"y": layers.Dropout(rate, name="y")(x)}, name="net")
        if table is not None:
            model.get_layer("dense").kernel.assign(np.full((4, 5), table) + np.eye(4, 5))
        optimizer, metrics = compiled
        model.compile(optimizer, "mse", metrics=metrics)
        return model

    return build


def lstm() -> Any:
    return layers.LSTM(4, name="lstm")


def called_in_training(body: Any) -> Any:
    """Draws in a plain call, where a Dropout stands before or behind a Permute."""

    def build() -> keras.Model:
        inputs = keras.Input((5, 4))
        return keras.Model(inputs, body(layers.Dense(3)(inputs)))

    return build


def drawn_first(inputs: Any) -> Any:
    return layers.Permute((2, 1))(layers.Dropout(0.5)(inputs, training=True))


def drawn_last(inputs: Any) -> Any:
    return layers.Dropout(0.5)(layers.Permute((2, 1))(inputs), training=True)


RNG = np.random.default_rng(0)
DATA = RNG.normal(size=(40, 6, 3)).astype("float32"), {"y": RNG.normal(size=(40, 5)).astype("float32")}
ADAM = "adam", ["mae"]
"""What has slots and another metric; traced longer, so that one pair has it."""
PAIRS: dict[str, tuple[Any, Any]] = {
    "rewritten": (
        net(summed=lstm),
        net(lambda: layers.Rescaling(2.0), lambda: layers.Rescaling(0.5), summed=lstm),
    ),
    "activation": (net(), net(activation="elu")),
    "rate": (net(compiled=ADAM), net(rate=0.4, compiled=ADAM)),
    "table": (net(table=0.5), net(table=0.75)),
    "condition": (
        net(layers.ReLU),
        net(lambda: layers.Lambda(lambda x: keras.ops.where(x < 0, 0.0, x))),
    ),
    "draws": (called_in_training(drawn_first), called_in_training(drawn_last)),
}
FOUND: dict[str, dict[str, Verdict]] = {
    "rewritten": dict.fromkeys(("summary", "graph"), Verdict.DIFFERENT),
    "activation": dict.fromkeys(("graph", "outputs", "gradients", "updates"), Verdict.DIFFERENT),
    "rate": dict.fromkeys(("graph", "gradients", "updates"), Verdict.DIFFERENT),
    "table": {"weights": Verdict.DIFFERENT, "program": Verdict.EQUIVALENT},
    "condition": {"graph": Verdict.DIFFERENT, "summary": Verdict.DIFFERENT},
    "draws": {
        **dict.fromkeys(("summary", "graph"), Verdict.DIFFERENT),
        **dict.fromkeys(("outputs", "gradients", "updates"), Verdict.INCONCLUSIVE),
    },
}


def through_files(value: Any, path: Path) -> Any:
    """Write a value and read it back; the shapes of a plan's cases are nested in any way."""
    data, arrays = to_data(value)
    np.savez(path / "arrays.npz", **arrays)
    with np.load(path / "arrays.npz", allow_pickle=False) as read:
        return from_data(json.loads(json.dumps(data, allow_nan=False)), dict(read), type(value) | Spec)


def both_ways(check: Check, pair: Pair, path: Path, **options: Any) -> tuple[list[CheckResult], int]:
    """Return the results from what was observed, and from files; and on how many plans it was."""
    between = pair.correspondence
    live: list[Any] = [None, None]
    written: list[Any] = [None, None]
    results: list[CheckResult] = []
    plans = 0
    for plan in check.plan(pair.reference_twin, between, **options):
        plans += 1
        kept = through_files(plan.kept(), path) if isinstance(plan, Plan) else plan
        for side, twin in enumerate((pair.reference_twin, pair.candidate_twin)):
            on = plan if side == 0 else check.for_candidate(kept, written[0])
            found = check.observe(twin, on)
            live[side] = completed(live[side], found)
            written[side] = completed(written[side], through_files(found, path))
        results = [check.compare(*sides, between, **options) for sides in (live, written)]
        if not check.further(results[1], between):
            break
    return results, plans


@pytest.mark.parametrize("name", PAIRS)
def test_every_check_decides_alike_from_files(name: str, tmp_path: Path) -> None:
    pair = Pair(Twins(*PAIRS[name]))
    more = {
        ("table", "weights"): 2,
        ("draws", "outputs"): 4,
        ("draws", "gradients"): 3,
        ("draws", "updates"): 3,
        ("activation", "gradients"): 2,
        ("activation", "updates"): 2,
    }
    for check in LADDER:
        if check.name == "training":
            continue
        (live, written), plans = both_ways(check, pair, tmp_path)
        assert json.dumps(written.to_dict()) == json.dumps(live.to_dict()), check.name
        usual = Verdict.INCONCLUSIVE if check.name == "program" else Verdict.EQUIVALENT
        assert live.verdict is FOUND[name].get(check.name, usual), (check.name, live.findings)
        expected = more.get((name, check.name), 1)
        if check.name == "outputs" and live.verdict is Verdict.EQUIVALENT:
            expected = 3 if name == "condition" else 2
        assert plans == expected, check.name


def test_runs_decide_alike_from_files(tmp_path: Path) -> None:
    pair = Pair(Twins(net(), net(rate=0.9)))
    plan = Training(DATA, DATA, seeds=3, engine="fit")
    (live, written), _ = both_ways(LADDER["training"], pair, tmp_path, training=plan)
    assert json.dumps(written.to_dict()) == json.dumps(live.to_dict())
    assert written.figures["n"] == 3


def test_only_what_trains_is_no_plain_data(tmp_path: Path) -> None:
    [portion] = LADDER["training"].plan(
        Pair(Twins(net())).reference_twin, None, training=Training(DATA, DATA, seeds=2)
    )
    assert isinstance(portion, Portion)
    with pytest.raises(TypeError, match="no plain data"):
        to_data(portion)
