"""No code runs from a model file, whatever Keras's own safe mode does: the file is looked into before."""

import json
import zipfile

import h5py
import keras
import pytest
from keras import layers

from pytest_kerasequiv import InputError
from pytest_kerasequiv.building.file_contents import refuse_code


def plain():
    x = keras.Input((4,))
    hidden = layers.Dense(3, activation=keras.ops.relu, kernel_regularizer=keras.regularizers.L2(0.1))(x)
    model = keras.Model(x, layers.Dense(1, activation="tanh", kernel_constraint="max_norm")(hidden))
    model.compile("adam", loss=keras.losses.mean_squared_error, metrics=[keras.metrics.mean_absolute_error])
    return model


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_plain_files_pass(name, tmp_path):
    plain().save(tmp_path / name)
    refuse_code(tmp_path / name, "reference")


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_lambdas_are_refused_before_they_are_loaded(name, tmp_path, monkeypatch):
    keras.Sequential([keras.Input((2,)), layers.Lambda(lambda x: x + 1)]).save(tmp_path / name)
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("it was loaded"))
    with pytest.raises(InputError, match=rf"reference='.*{name}'.*a Python lambda.*safe mode stays on"):
        refuse_code(tmp_path / name, "reference")


HARMFUL = [
    {"module": "keras.config", "class_name": "enable_unsafe_deserialization", "config": {}},
    {"module": "keras.utils", "class_name": "function", "config": "get_file"},
    {"module": "keras.src.utils.file_utils", "class_name": "function", "config": "get_file"},
    {"module": "keras.models", "class_name": "load_model", "config": {}},
    {
        "class_name": "Lambda",
        "config": {"output_shape": ["4wEAAAA", None, None], "output_shape_type": "lambda"},
    },
]


@pytest.mark.parametrize("node", HARMFUL, ids=lambda node: str(node["config"] or node["class_name"]))
def test_what_does_more_than_compute_is_refused(node, tmp_path):
    described = {
        "module": "keras.layers",
        "class_name": "Dense",
        "config": {"units": 1, "activation": [node]},
    }
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(described))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file.attrs["training_config"] = json.dumps(described)
    for name in ("m.keras", "m.h5"):
        with pytest.raises(InputError, match="Keras's safe mode stays on here"):
            refuse_code(tmp_path / name, "candidate")


@pytest.mark.parametrize("content", [b"", b"no zip", b"[" * 200_000])
def test_what_is_no_model_file_is_left_to_who_loads_it(content, tmp_path):
    (tmp_path / "m.h5").write_bytes(content)
    refuse_code(tmp_path / "m.h5", "reference")
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("config.json", content)
    refuse_code(tmp_path / "m.keras", "reference")
