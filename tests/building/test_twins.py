"""The pair: built once under one seed, from whatever the user has."""

import functools
import json
import random
import re
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers
from tests.common.models import same_values

from pytest_kerasequiv import Evidence, InputError, Twins, Verdict, compare
from pytest_kerasequiv.building.specs import Spec
from pytest_kerasequiv.weights.variables import values_of


def unbuilt():
    return keras.Sequential([layers.Conv1D(3, 2), layers.Dropout(0.5), layers.Flatten(), layers.Dense(1)])


def functional(steps=6):
    inputs = keras.Input((steps, 2))
    x = layers.Conv1D(3, 2)(inputs)
    x = layers.Dropout(0.5)(x)
    return keras.Model(inputs, layers.Dense(1)(layers.Flatten()(x)))


def built():
    model = unbuilt()
    model.build((None, 6, 2))
    return model


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.conv = layers.Conv1D(3, 2)
        self.drop = layers.Dropout(0.5)
        self.flat = layers.Flatten()
        self.dense = layers.Dense(1)

    def call(self, inputs, training=None):
        return self.dense(self.flat(self.drop(self.conv(inputs), training=training)))


# What each side may be


def test_two_builders_start_with_the_same_weights_and_seeds():
    twins = Twins(unbuilt, functional)
    assert twins.reference.input_shape == (None, 6, 2)
    assert same_values(twins.reference, twins.candidate)
    assert (twins.reference_label, twins.candidate_label) == ("unbuilt", "functional")
    assert twins.name == "unbuilt-vs-functional"
    assert twins.weights == "copy"


def test_the_unbuilt_side_may_be_the_candidate():
    twins = Twins(functional, unbuilt)
    assert twins.candidate.input_shape == (None, 6, 2)
    assert same_values(twins.reference, twins.candidate)


WRAPPED = {
    "bare": lambda one: one,
    "list": lambda one: [one],
    "tuple": lambda one: (one,),
    "dict": lambda one: {"series": one},
}


def wrapped_functional(wrap):
    inputs = keras.Input((9, 2), name="series")
    return keras.Model(wrap(inputs), keras.layers.Dense(3)(inputs))


class OneDense(keras.Model):
    def __init__(self, take):
        super().__init__()
        self.dense, self.take = keras.layers.Dense(3), take

    def call(self, inputs):
        return self.dense(self.take(inputs))


def unbuilt_sequential():
    return keras.Sequential([keras.layers.Dense(3)])


@pytest.mark.parametrize("wrap", WRAPPED)
@pytest.mark.parametrize("unbuilt", [unbuilt_sequential, lambda: OneDense(lambda inputs: inputs)])
@pytest.mark.parametrize("order", [1, -1])
def test_one_input_in_a_list_tuple_or_dict_goes_with_an_unbuilt_model(wrap, unbuilt, order):
    sides = [unbuilt, functools.partial(wrapped_functional, WRAPPED[wrap])][::order]
    twins = Twins(*sides)
    kernels = [side.trainable_variables[0].shape for side in (twins.reference, twins.candidate)]
    assert kernels == [(2, 3), (2, 3)]
    assert compare(twins, checks=["outputs", "gradients", "updates"]).verdict is Verdict.EQUIVALENT


def test_the_question_as_it_was_posted_is_proved():
    report = compare(unbuilt_sequential, functools.partial(wrapped_functional, WRAPPED["list"]))
    assert report.evidence is Evidence.PROVED


@pytest.mark.parametrize(("wrap", "take"), [("list", lambda x: x[0]), ("dict", lambda x: x["series"])])
def test_an_unbuilt_model_that_takes_the_structure_gets_it(wrap, take):
    twins = Twins(functools.partial(wrapped_functional, WRAPPED[wrap]), lambda: OneDense(take))
    assert compare(twins, checks=["weights", "outputs"]).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("shape", [[(9, 2)], ((9, 2),), {"series": (9, 2)}])
def test_an_input_shape_with_one_input_builds_a_sequential(shape):
    assert Twins(unbuilt_sequential, input_shape=shape).reference.input_shape == (None, 9, 2)


def test_two_unbuilt_sides_need_the_shape():
    assert Twins(unbuilt, unbuilt, input_shape=[6, 2]).candidate.input_shape == (None, 6, 2)
    with pytest.raises(InputError, match=r"'unbuilt'.*not built.*pass input_shape="):
        _ = Twins(unbuilt, unbuilt).reference
    with pytest.raises(InputError, match=r"'unbuilt'.*not built.*pass input_shape="):
        _ = Twins(unbuilt).reference


def test_models_are_compared_through_copies_with_their_weights():
    model, other = functional(), built()
    model.compile("adam", "mse")
    before = values_of(model)
    twins = Twins(model, other)
    assert twins.reference is not model
    assert same_values(twins.reference, model)
    assert same_values(twins.candidate, other)
    assert twins.weights == "copy"
    assert twins.reference.compiled
    assert twins.reference.optimizer is not model.optimizer
    assert not twins.candidate.compiled
    twins.reference.fit(np.ones((4, 6, 2)), np.ones((4, 1)), verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, values_of(model), strict=True))
    assert model.compiled


def test_a_model_source_builds_fresh_weights():
    model = functional()
    source = Twins(model, built).reference_source
    one, other = source.build(1), source.build(1)
    assert same_values(one, other)
    assert not same_values(one, model)
    assert not same_values(one, source.build(2))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_files_keep_their_weights(tmp_path, suffix):
    paths = [tmp_path / f"{name}{suffix}" for name in "ab"]
    models = [functional(), built()]
    for model, path in zip(models, paths, strict=True):
        model.compile("adam", "mse", metrics=["mae"])
        model.save(path)
    twins = Twins(paths[0], str(paths[1]))
    assert twins.weights == "own"
    assert all(
        np.array_equal(a, b)
        for a, b in zip(models[0].get_weights(), twins.reference.get_weights(), strict=True)
    )
    assert all(
        np.array_equal(a, b)
        for a, b in zip(models[1].get_weights(), twins.candidate.get_weights(), strict=True)
    )
    assert twins.reference.compiled
    assert twins.reference_label == str(paths[0])


def test_a_file_and_its_derived_twin(tmp_path):
    path = tmp_path / "model.keras"
    functional().save(path)
    twins = Twins(path)
    assert isinstance(twins.candidate, keras.Sequential)
    assert same_values(twins.reference, twins.candidate)
    assert twins.weights == "own"
    weights = twins.candidate_source.build(3).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(weights, twins.candidate.get_weights(), strict=True))


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "twin_package"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "models.py").write_text(
        "import keras\n"
        "def build():\n"
        "    return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])\n"
        "class Holder:\n"
        "    @staticmethod\n"
        "    def build():\n"
        "        return build()\n"
        "given = build()\n"
        "number = 3\n"
    )
    (folder / "broken.py").write_text("def build(:\n")
    (folder / "raising.py").write_text("raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "twin_package"
    for name in [name for name in sys.modules if name.startswith("twin_package")]:
        del sys.modules[name]


@pytest.mark.parametrize("name", ["build", "Holder.build", "given"])
def test_import_strings(package, name):
    twins = Twins(f"{package}.models:{name}")
    assert same_values(twins.reference, twins.candidate)
    assert twins.reference_label == f"{package}.models:{name}"
    assert twins.weights == "copy"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("twin_package.models:nothing", r"has no 'nothing' \(it defines Holder, build\)"),
        ("twin_package.nothing:build", "no module 'twin_package.nothing'"),
        ("nothing_at_all.models:build", "no module 'nothing_at_all' on sys.path"),
        ("twin_package.broken:build", "syntax error in line 1 of .*broken.py"),
        ("twin_package.raising:build", "raised RuntimeError: no licence"),
        ("twin_package.models:number", "names 3 of type int"),
        ("twin_package.models:", "write it as 'package.module:builder'"),
        ("twin package:build", "write it as 'package.module:builder'"),
    ],
)
def test_import_strings_that_do_not_resolve(package, text, message):
    with pytest.raises(InputError, match=message) as error:
        _ = Twins(text, functional).reference
    assert f"reference={text!r}" in str(error.value)


def test_subclassed_models_are_built_by_calling():
    twins = Twins(functional, Subclassed)
    assert same_values(twins.reference, twins.candidate)
    assert twins.candidate_label == "Subclassed"
    alone = Twins(Subclassed, Subclassed, input_shape=(6, 2))
    assert alone.input_specs == Spec((None, 6, 2))
    assert len(alone.reference.weights) == 4


# Bad input


def test_the_reference_is_built_and_used_before_the_candidate_builder_runs():
    made = []
    twins = Twins(
        lambda: (made.append("reference"), functional())[1],
        lambda: (made.append("candidate"), functional())[1],
    )
    assert (twins.reference.built, made) == (True, ["reference"])
    assert (twins.candidate.built, made) == (True, ["reference", "candidate"])


def test_builders_that_do_not_build():
    def raising():
        raise KeyError("units")

    def needy(units, *, rate, name="x"):
        return None

    def forgetful():
        functional()

    for builder, message in [
        (raising, r"reference 'raising' cannot be built: it raised KeyError: 'units'"),
        (
            needy,
            r"reference builder 'needy' needs arguments \(units, rate\).*partial\(needy, units=..., rate=",
        ),
        (forgetful, "returned None.*return statement"),
        (lambda: keras.layers.Dense(1), "of type Dense, not a keras.Model"),
        (dict, "returned {} of type dict"),  # a callable that has no signature
    ]:
        with pytest.raises(InputError, match=message):
            _ = Twins(builder, functional).candidate
    with pytest.raises(InputError, match="candidate 'raising' cannot be built"):
        _ = Twins(functional, raising).candidate


def test_a_builder_that_returns_the_same_model_again():
    model = functional()
    source = Twins(lambda: model, unbuilt).reference_source
    with pytest.raises(InputError, match=r"returned before.*new model on each call"):
        source.build(0)


def test_builders_that_share_layers():
    dense = layers.Dense(1, name="common")

    def one():
        return keras.Sequential([keras.Input((2,)), dense])

    def other():
        inputs = keras.Input((2,))
        return keras.Model(inputs, dense(inputs))

    with pytest.raises(InputError, match=r"share what training changes .*common/kernel'"):
        _ = Twins(one, other).candidate


def test_the_same_on_both_sides(tmp_path):
    model = functional()
    with pytest.raises(InputError, match=r"same model 'functional.*proves nothing"):
        Twins(model, model)
    path = tmp_path / "a.keras"
    with pytest.raises(InputError, match=r"same file .*proves nothing"):
        Twins(path, str(path))
    assert same_values(Twins(functional, functional).reference, Twins(functional, functional).candidate)


@pytest.mark.parametrize(
    "given", ["model.onnx", "models.forecaster", "saved_model/", 7, None, [functional], layers.Dense(1)]
)
def test_what_is_no_side_at_all(given):
    with pytest.raises(InputError, match=r"reference=.*(package\.module:builder)") as error:
        Twins(given, functional)
    assert repr(given).strip("/'") in str(error.value)


def test_weights_only_files_and_missing_files(tmp_path):
    with pytest.raises(InputError, match="holds weights only"):
        Twins(tmp_path / "a.weights.h5")
    with pytest.raises(InputError, match="there is no such file"):
        _ = Twins(tmp_path / "a.keras").reference


def test_damaged_files(tmp_path):
    path = tmp_path / "a.keras"
    functional().save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"no complete \.keras file.*truncated"):
        _ = Twins(path).reference
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "no model")
    with pytest.raises(InputError, match="cannot be loaded"):
        _ = Twins(path).reference
    other = tmp_path / "a.h5"
    other.write_bytes(b"not hdf5")
    with pytest.raises(InputError, match="cannot be loaded"):
        _ = Twins(other).reference


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_lambda_in_a_file_is_not_run(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    keras.Sequential([keras.Input((2,)), layers.Lambda(lambda x: x + 1)]).save(path)
    with pytest.raises(InputError, match=r"Lambda.*safe mode stays on"):
        _ = Twins(path).reference


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("argument", ["function", "mask"])
def test_a_lambda_in_a_file_is_refused_before_keras_reads_it(tmp_path, suffix, argument, monkeypatch):
    path = tmp_path / f"a{suffix}"
    functions = {"function": len, argument: lambda x, mask=None: x}
    inner = keras.Sequential([keras.Input((2,)), layers.Lambda(**functions, output_shape=(2,))])
    keras.Sequential([keras.Input((2,)), inner]).save(path)
    monkeypatch.setattr(keras.models, "load_model", lambda *_, **__: pytest.fail("Keras read the file"))
    with pytest.raises(InputError, match=r"Lambda.*safe mode stays on"):
        _ = Twins(path).reference


def test_a_lambda_written_by_keras_2_is_refused(tmp_path):
    path = tmp_path / "old.h5"
    code = {"function": ["4wEAAAA=", None, None], "function_type": "lambda", "name": "f"}
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": code}]}}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(InputError, match="runs code from the file"):
        _ = Twins(path).reference


@pytest.mark.parametrize("side", ["a model", "a builder's model"])
def test_a_model_of_keras_2_is_refused(side):
    class Model:
        """Stands for tf_keras.Model, which is a class of another package."""

        __module__ = "tf_keras.src.engine.training"

        def __call__(self):
            """Return nothing: it is never called."""

    with pytest.raises(InputError, match=r"reference is a model of tf_keras.*Keras 2"):
        _ = Twins(Model() if side == "a model" else Model, functional).reference


def test_unregistered_classes_in_a_file(tmp_path):
    class Doubled(layers.Layer):
        def call(self, x):
            return x * 2

    path = tmp_path / "a.keras"
    keras.Sequential([keras.Input((2,)), Doubled()]).save(path)
    with pytest.raises(InputError, match="register_keras_serializable"):
        _ = Twins(path).reference


@pytest.mark.parametrize("weights", ["own ", "reference", None, True, ["own"]])
def test_wrong_weights(weights):
    with pytest.raises(InputError, match=re.escape(f"weights={weights!r} is unknown")):
        Twins(functional, weights=weights)


@pytest.mark.parametrize("name", ["", " ", 3, ["forecaster"], True])
def test_wrong_names(name):
    with pytest.raises(InputError, match=re.escape(f"name={name!r} is no name of a pair; pass a string")):
        Twins(functional, name=name)


def test_a_wrong_input_shape_is_shown_in_short():
    with pytest.raises(InputError, match="is no shape") as caught:
        Twins(unbuilt, input_shape=np.zeros((50, 3)))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("shape", [60, "60", (60.0, 2), (0, 2), (-1,), [(1,), 2], {"a": 3}, (True,)])
def test_wrong_input_shapes(shape):
    with pytest.raises(InputError, match=r"input_shape=.* is no shape"):
        Twins(unbuilt, input_shape=shape)


def test_an_input_shape_that_contradicts_the_model():
    with pytest.raises(
        InputError, match=r"input_shape asks for \(7, 2\), but candidate 'functional' takes \(6, 2\)"
    ):
        _ = Twins(unbuilt, functional, input_shape=(7, 2)).candidate


def test_an_input_shape_that_the_model_refuses():
    with pytest.raises(InputError, match=r"cannot be built for input_shape=\(3,\): it raised ValueError"):
        _ = Twins(unbuilt, input_shape=(3,)).reference


def two_inputs(first=2, second=3):
    one, other = keras.Input((first,)), keras.Input((second,))
    return keras.Model([one, other], layers.Concatenate()([layers.Dense(1)(one), layers.Dense(1)(other)]))


def two_outputs():
    inputs = keras.Input((6, 2))
    x = layers.Flatten()(inputs)
    return keras.Model(inputs, [layers.Dense(1)(x), layers.Dense(1)(x)])


def test_twins_that_no_common_input_fits():
    with pytest.raises(InputError, match=r"'functional' has 1 input, candidate 'two_inputs' has 2"):
        _ = Twins(functional, two_inputs).candidate
    with pytest.raises(InputError, match=r"'functional' has 1 output, candidate 'two_outputs' has 2"):
        _ = Twins(functional, two_outputs).candidate
    with pytest.raises(InputError, match=r"input 0 .* has shape \(2,\), of candidate .* \(3,\)"):
        _ = Twins(two_inputs, lambda: two_inputs(3, 2)).candidate
    with pytest.raises(InputError, match=r"input 0 .* has shape \(6, 2\), of candidate .* \(7, 2\)"):
        _ = Twins(functional, lambda: functional(7)).candidate
    assert Twins(functional, lambda: functional(6)).candidate is not None


# Compile settings


def test_compile_is_applied_to_both_sides():
    optimizer = keras.optimizers.Adam(0.5)
    twins = Twins(functional, unbuilt, compile={"optimizer": optimizer, "loss": "mse", "metrics": ["mae"]})
    assert twins.reference.optimizer is not twins.candidate.optimizer
    assert not optimizer.built
    assert float(twins.candidate_source.build(3).optimizer.learning_rate) == 0.5


def test_builders_that_compile_keep_their_settings():
    def compiled():
        model = functional()
        model.compile(keras.optimizers.SGD(0.125), "mae")
        return model

    twins = Twins(compiled, unbuilt)
    assert float(twins.reference.optimizer.learning_rate) == 0.125
    assert not twins.candidate.compiled
    assert Twins(compiled, unbuilt, compile={"optimizer": "adam"}).reference.optimizer.name == "adam"


# The caller's world


def test_building_leaves_no_trace():
    random.seed(5)
    expected = random.random()
    random.seed(5)
    twins = Twins(unbuilt, functional)
    _ = twins.reference, twins.candidate
    assert random.random() == expected


def test_build_without_seed_is_what_a_user_gets():
    twins = Twins(functional, unbuilt, compile={"optimizer": "adam", "loss": "mse"})
    keras.utils.set_random_seed(11)
    expected = functional()
    following = random.random()
    for source in (twins.reference_source, twins.candidate_source, Twins(functional).candidate_source):
        keras.utils.set_random_seed(11)
        model = source.build()
        assert same_values(model, expected)
        assert random.random() == following


def test_repr_names_both():
    assert (
        repr(Twins(functional, name="pair"))
        == "Twins('functional', 'functional in the other API', name='pair')"
    )


class Opaque(layers.Layer):
    """A layer whose output shape Keras cannot infer."""

    def call(self, x):
        return x * 2

    def compute_output_shape(self, input_shape):
        raise NotImplementedError

    def compute_output_spec(self, *args, **kwargs):
        raise NotImplementedError


def test_a_sequential_that_keras_leaves_half_built():
    def opaque():
        return keras.Sequential([keras.Input((6, 2)), Opaque(), layers.Conv1D(3, 2), layers.LSTM(2)])

    half = opaque()
    assert half.built
    assert not half.weights
    twins = Twins(opaque, lambda: keras.Sequential([Opaque(), layers.Conv1D(3, 2), layers.LSTM(2)]))
    assert len(twins.reference.weights) == len(twins.candidate.weights) == 5
    assert same_values(twins.reference, twins.candidate)
