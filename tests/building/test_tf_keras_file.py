"""A model file that tf_keras wrote, that is Keras 2: read by Keras 3, it is the same model."""

import gzip
import json
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv import Twins, Verdict, compare

WRITTEN = Path(__file__).with_name("tf_keras.h5.gz")
"""What tf_keras 2.19.0 saved after a few steps of `fit`: a `Sequential`, compiled with adam and mse."""
INPUTS = np.arange(32, dtype="float32").reshape(2, 8, 2) / 16 - 1
PREDICTED = [[0.46697667241096497, -0.3960415720939636], [0.003035704605281353, 0.0067689623683691025]]
"""What `predict` of tf_keras returned for these inputs."""


def rebuilt(rate=0.2):
    model = keras.Sequential(
        [
            keras.Input((8, 2)),
            layers.Conv1D(3, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Dropout(rate),
            layers.Conv1D(3, 2),
            layers.GlobalAveragePooling1D(),
            layers.Dense(2),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "tf_keras.h5"
    path.write_bytes(gzip.decompress(WRITTEN.read_bytes()))
    return path


def test_it_predicts_what_it_did(written):
    found = Twins(written, rebuilt).reference.predict(INPUTS, verbose=0)
    np.testing.assert_allclose(found, PREDICTED, rtol=1e-5, atol=1e-7)


def test_it_is_the_model_that_keras_3_builds(written):
    report = compare(written, rebuilt)
    assert report.verdict is Verdict.EQUIVALENT, str(report)


def test_another_rate_is_found(written):
    report = compare(written, lambda: rebuilt(0.3))
    assert report.verdict is Verdict.DIFFERENT
    assert "rate is 0.2 in the reference and 0.3 in the candidate" in " ".join(str(report).split())


@pytest.mark.parametrize("loss", ["mae", {"class_name": "MeanAbsoluteError", "config": {"name": "mae"}}])
def test_a_loss_and_a_metric_may_have_one_name(written, loss):
    with h5py.File(written, "r+") as file:
        file.attrs["training_config"] = json.dumps(json.loads(file.attrs["training_config"]) | {"loss": loss})
    measured = Twins(written, rebuilt).reference.evaluate(
        INPUTS, np.ones((2, 2)), verbose=0, return_dict=True
    )
    assert measured["loss"] == pytest.approx(measured["mae"])
