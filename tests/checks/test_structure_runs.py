"""`graph` and `weights` as the ladder runs them, on builders, models and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_kerasequiv import Twins, compare
from pytest_kerasequiv.verdict import Verdict

CHECKS = ["graph", "weights"]


def forecaster(**changes: Any) -> Any:
    """A small version of the question's model, as `Sequential`."""
    import keras

    L = keras.layers
    stack = [
        L.Conv1D(4, 3, activation="relu"),
        L.LSTM(5, activation="relu", **changes),
        L.Dropout(0.2),
        L.Dense(2, activation="relu"),
    ]
    return keras.Sequential(stack)


def functional() -> Any:
    import keras

    x = inputs = keras.Input((12, 2))
    for layer in forecaster().layers:
        x = layer(x)
    return keras.Model(inputs, x)


def test_builders_under_one_seed_are_equal_to_the_bit() -> None:
    report = compare(forecaster, functional, checks=CHECKS)
    assert report.verdict is Verdict.EQUIVALENT
    assert report["weights"].figures["unequal_values"] == 0
    assert not report.findings


def test_builders_with_other_initialisers_are_different() -> None:
    report = compare(lambda: forecaster(unit_forget_bias=False), functional, checks=CHECKS)
    assert report.verdict is Verdict.DIFFERENT
    assert {f.field for f in report["weights"].differences} == {"unit_forget_bias"}
    assert {f.field for f in report["graph"].differences} == {"unit_forget_bias"}


def test_models_with_other_values_are_a_note_when_copying() -> None:
    report = compare(functional(), functional(), checks=["weights"])
    assert report.verdict is Verdict.EQUIVALENT
    assert [f.severity for f in report.findings] == ["note"]


def test_models_with_other_values_are_different_when_they_keep_their_own() -> None:
    report = compare(functional(), functional(), checks=["weights"], weights="own")
    assert report.verdict is Verdict.DIFFERENT


@pytest.mark.parametrize("change", [0.0, 1e-6])
def test_files_are_compared_with_their_values(change: float, tmp_path: Path) -> None:
    import keras

    model = functional()
    model.save(tmp_path / "a.keras")
    kernel = model.layers[-1].kernel
    kernel.assign(keras.ops.convert_to_numpy(kernel) + change)
    model.save(tmp_path / "b.keras")
    report = compare(str(tmp_path / "a.keras"), str(tmp_path / "b.keras"), checks=CHECKS)
    assert report["graph"].verdict is Verdict.EQUIVALENT
    assert report["weights"].verdict is (Verdict.DIFFERENT if change else Verdict.EQUIVALENT)


def test_subclassed_twins_go_without_a_graph() -> None:
    import keras

    class Own(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    report = compare(Twins(Own, Own, input_shape=(4,)), checks=CHECKS)
    assert report["graph"].verdict is Verdict.INCONCLUSIVE
    assert report["weights"].verdict is Verdict.EQUIVALENT
    assert report["weights"].figures["map"] == "program"


@pytest.mark.slow
def test_one_changed_field_in_resnet50_is_one_finding(tmp_path: Path) -> None:
    import keras

    def build(epsilon: float) -> Any:
        model = keras.applications.ResNet50(weights=None, input_shape=(32, 32, 3), include_top=False)
        config = model.get_config()
        for layer in config["layers"]:
            if layer["config"]["name"] == "conv4_block3_2_bn":
                layer["config"]["epsilon"] = epsilon
        return keras.Model.from_config(config)

    report = compare(lambda: build(1.001e-5), lambda: build(1e-3), checks=["graph"])
    (finding,) = report.findings
    assert finding.reference_layer == "resnet50/conv4_block3_2_bn"
    assert (finding.field, finding.reference, finding.candidate) == ("epsilon", 1.001e-5, 1e-3)
    assert report["graph"].plot(tmp_path / "resnet.svg").stat().st_size > 10_000
