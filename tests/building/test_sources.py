"""One side of the twins: labels, kinds, fresh builds, and what travels to another process."""

import functools
import pickle

import keras
import pytest
from keras import layers
from tests.common.models import same_values

from pytest_kerasequiv import InputError, Twins
from pytest_kerasequiv.building.sources import source_of


def build(units=2):
    return keras.Sequential([keras.Input((3,)), layers.Dense(units), layers.Dropout(0.5)])


class Builder:
    """A callable object."""

    def __call__(self):
        return build()

    def method(self):
        return build()

    @staticmethod
    def static():
        return build()


class Network(keras.Model):
    """A class is a builder of its instances."""

    def __init__(self):
        inputs = keras.Input((3,))
        super().__init__(inputs, layers.Dense(2)(inputs))


@pytest.mark.parametrize(
    ("given", "label"),
    [
        (build, "build"),
        (functools.partial(build, units=3), "build(units=3)"),
        (Builder(), "Builder"),
        (Builder().method, "Builder.method"),
        (Builder.static, "Builder.static"),
        (Network, "Network"),
        (lambda: build(3), "<lambda>"),
    ],
)
def test_builders(given, label):
    source = source_of(given, "reference", compile=None)
    assert (source.kind, source.label) == ("builder", label)
    one, other = source.build(1), source.build(1)
    assert one is not other
    assert same_values(one, other)
    assert not same_values(one, source.build(2))


def test_names_do_not_depend_on_what_was_built_before():
    source = source_of(build, "reference", compile=None)
    assert [layer.name for layer in source.build(0).layers] == ["dense", "dropout"]
    assert source.build(0).name == "sequential"


@pytest.mark.parametrize("candidate", [None, build, "a file"])
def test_sources_travel_to_another_process(candidate, tmp_path):
    if candidate == "a file":
        candidate = tmp_path / "model.keras"
        build().save(candidate)
    twins = Twins(build, candidate, compile={"optimizer": keras.optimizers.Adam(0.5), "loss": "mse"})
    for source in (twins.reference_source, twins.candidate_source):
        other = pickle.loads(pickle.dumps(source))
        assert same_values(other.build(3), source.build(3))
        assert float(other.build(3).optimizer.learning_rate) == 0.5


def test_a_model_travels_too():
    source = Twins(build()).reference_source
    assert same_values(pickle.loads(pickle.dumps(source)).build(3), source.build(3))


def test_a_module_that_draws_numbers_on_import_shifts_nothing(tmp_path, monkeypatch):
    (tmp_path / "drawing_module.py").write_text(
        "import random, keras\n"
        "start = random.random()\n"
        "def build():\n"
        "    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])\n"
        "at_import = build()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    source = source_of("drawing_module:build", "reference", compile=None)
    first = source.build(3)
    assert same_values(first, source.build(3))
    keras.utils.set_random_seed(3)
    expected = keras.Sequential([keras.Input((3,)), layers.Dense(2)])
    assert same_values(first, expected)


def seeding():
    keras.utils.set_random_seed(42)
    return build()


def clearing():
    keras.utils.clear_session()
    return build()


def test_a_builder_that_sets_the_seed_cannot_be_trained_repeatedly():
    source = source_of(seeding, "reference", compile=None)
    keras.utils.set_random_seed(1)
    with pytest.raises(
        InputError, match=r"reference 'seeding' sets the random seed itself.*set_random_seed out"
    ):
        source.build()
    assert source.build(0) is not None
    keras.utils.set_random_seed(1)
    assert source_of(clearing, "reference", compile=None).build() is not None


def test_builders_of_one_name_are_told_apart_by_where_they_stand():
    def first():
        return lambda: build(3)

    def second():
        return lambda: build(4)

    twins = Twins(first(), second())
    assert twins.name == "<lambda>-vs-<lambda>"
    line = first.__code__.co_firstlineno
    assert twins.reference_label == f"<lambda> (test_sources.py:{line + 1})"
    assert twins.candidate_label == f"<lambda> (test_sources.py:{line + 4})"


def test_builders_of_two_names_need_no_place():
    assert Twins(build, functools.partial(build, 4)).reference_label == "build"
