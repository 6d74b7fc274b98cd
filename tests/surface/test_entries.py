"""The surface of a model is listed once: which entries it has, and how each is called."""

import enum

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tests.common.models import flow

from pytest_kerasequiv import Verdict, compare, record
from pytest_kerasequiv.building.batches import check_batch, hold_batch
from pytest_kerasequiv.building.specs import Spec
from pytest_kerasequiv.surface.entries import (
    Entry,
    Given,
    Kind,
    can_be_kept,
    covered,
    entries_of,
    own_loops,
    settled,
    sizes,
)
from pytest_kerasequiv.surface.lengths import (
    LONGEST,
    asking_how_they_run,
    lengths_in_code,
    names_in_code,
    texts_in_code,
)


def names(model):
    return [entry.name for entry in entries_of(model)]


def test_a_functional_model_of_kerass_layers_has_two_entries():
    model = flow(layers.Dense(3), layers.BatchNormalization(), layers.Dropout(0.5))
    assert names(model) == ["inference", "training"]


def test_a_compiled_model_has_its_loss_and_metrics_besides():
    model = flow(layers.Dense(3))
    model.compile("sgd", "mse")
    assert names(model) == ["inference", "training", "loss and metrics"]


class Own(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)

    def call(self, x, scaled=False, power=2, context=None, mask=None):
        return self.dense(x)


def test_keywords_of_an_own_call_are_entries():
    model = Own()
    model(keras.ops.zeros((2, 4)))
    given = [entry.arguments for entry in entries_of(model) if entry.kind is Kind.CALL]
    values = {name: [value for ((one, value),) in given if one == name] for ((name, _),) in given}
    assert values == {
        "scaled": [True],
        "power": [3],
        "context": [Given.LIKE_INPUT, True, 2.0],
        "mask": [Given.MASK],
    }


BOTH = ["train_step", "train_step of inputs alone", "test_step", "test_step of inputs alone"]


@pytest.mark.parametrize(
    ("member", "steps"),
    [
        ("train_step", ["train_step", "train_step of inputs alone"]),
        ("test_step", ["test_step", "test_step of inputs alone"]),
        ("predict_step", ["predict_step", "predict_step with targets"]),
        ("compute_loss", BOTH),
        ("compute_metrics", BOTH),
        ("metrics", ["train_step", "test_step"]),
        ("reset_metrics", ["reset_metrics"]),
    ],
)
def test_steps_in_which_a_class_has_a_part_are_entries(member, steps):
    value = property(lambda self: []) if member == "metrics" else lambda self, *_, **__: None
    own = type("Own", (keras.Model,), {member: value})
    inputs = keras.Input((4,))
    model = own(inputs, layers.Dense(1)(inputs))
    entries = by_name(model)
    assert [name for name, entry in entries.items() if entry.kind is Kind.STEP] == steps
    assert all(entries[name].tentative for name in steps if " " in name)


def test_a_step_without_a_compiled_loss_is_run_with_targets_besides():
    class Own(keras.Sequential):
        def train_step(self, data):
            return {}

    model = Own([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd")
    assert "train_step with targets" in names(model)
    hold_batch(model, check_batch(np.zeros((2, 4))))
    assert "train_step with targets" not in names(model)


class Noisy(layers.Layer):
    def call(self, x, training=None):
        return x


@pytest.mark.parametrize("layer", [Noisy, layers.RandomFlip], ids=["own", "trains by default"])
def test_a_plain_call_is_an_entry_where_a_layer_may_tell(layer):
    assert "plain call" in names(flow(layer(), shape=(4, 4, 3)))


def test_each_optional_input_is_left_out_and_all_of_them():
    a, b, c = keras.Input((2,)), keras.Input((2,), optional=True), keras.Input((2,), optional=True)

    class Sum(layers.Layer):
        def call(self, x, y=None, z=None):
            return x

    model = keras.Model([a, b, c], Sum()(a, b, c))
    shapes = {entry.name: entry.shapes[0] for entry in entries_of(model)}
    assert [one is None for one in shapes["without input 1"]] == [False, True, False]
    assert [one is None for one in shapes["without input 1, 2"]] == [False, True, True]


def test_free_axes_have_a_size_each():
    image = [Spec((None, None, None, 3))]
    assert sizes(image, 64, 32)[0] == [Spec((None, 64, 96, 3))]
    two = [Spec((None, None, 2)), Spec((None, None, 2))]
    assert [[spec.shape[1] for spec in plan] for plan in sizes(two, 37, 8)] == [[37, 45], [37, 37]]
    assert settled(two, lambda *_: 5)[1].shape == (None, 5, 2)


LIMIT = 300


def test_lengths_that_own_code_may_compare_with_are_sizes():
    closed = 70

    class Cut(layers.Layer):
        def __init__(self):
            super().__init__()
            self.limit = 16

        def call(self, x):
            return x if (x.shape[1] or 0) > 100 else x * min(closed, LIMIT, self.limit)

    model = flow(Cut(), shape=(None, 2))
    assert lengths_in_code(model) == [16, 70, 100, 300]
    assert {"free axes of 100", "free axes of 101"} <= set(names(model))
    assert len(names(model)) == len(set(names(model)))
    assert not any("free axes" in name for name in names(flow(layers.Conv1D(2, 7), shape=(None, 2))))


def by_name(model):
    return {entry.name: entry for entry in entries_of(model)}


def test_what_training_is_in_each_entry():
    model = Own()
    model(keras.ops.zeros((2, 4)))
    entries = by_name(model)
    assert (entries["inference"].modes, entries["training"].modes) == ((False,), (True,))
    both = entries["call with power=3"]
    assert both.modes == (False, True)
    assert "call with mask=a mask" in entries
    assert [both.tentative, entries["inference"].tentative] == [True, False]


class Named(keras.Model):
    def call(self, x, how="fast", times=1):
        return x if how == "slow" or times == 7 else -x


def test_a_keyword_of_another_kind_is_no_entry():
    class Sized(keras.Model):
        def call(self, x, sizes=(1, 2)):
            return x

    model = Sized()
    model(keras.ops.zeros((2, 4)))
    assert names(model) == ["inference", "training"]


def test_a_model_that_does_not_know_its_inputs_is_called_as_it_is_given_them():
    model = Own()
    model.built = True
    assert entries_of(model) == (Entry("inference", Kind.INFERENCE, (None,)),)


def test_a_name_that_is_not_bound_yet_is_no_length():
    def build():
        size: int
        layer = layers.Lambda(lambda x: x if x.shape[1] is None else x[:, :size])
        model = flow(layer, shape=(None,))
        found = lengths_in_code(model)
        size = 7
        return found, lengths_in_code(model)

    assert build() == ([], [7])


def test_keywords_are_tried_with_the_texts_and_numbers_of_the_users_code():
    model = Named()
    model(keras.ops.zeros((2, 4)))
    given = ("how='slow'", "times=2", "times=7", "times=8", "times=6")
    assert names(model)[2:] == [f"call with {one}" for one in given]


def test_a_model_that_itself_may_tell_has_a_plain_call():
    class Telling(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(1)

        def call(self, x, training=None):
            return self.dense(x)

    model = Telling()
    model(keras.ops.zeros((2, 4)))
    assert by_name(model)["plain call"].modes == (None,)


def test_one_optional_input_is_left_out_once():
    a, b = keras.Input((2,)), keras.Input((2,), optional=True)

    class First(layers.Layer):
        def call(self, x, y=None):
            return x

    model = keras.Model([a, b], First()(a, b))
    entries = by_name(model)
    assert [name for name in names(model) if name.startswith("without")] == ["without input 1"]
    assert entries["without input 1"].modes == (False, True)
    assert not entries["without input 1"].tentative


def shown(alternatives):
    return [[spec.shape[1:3] for spec in keras.tree.flatten(specs)] for specs in alternatives]


def test_free_axes_are_tried_at_two_plans_of_sizes():
    image = keras.Input((None, None, 1))
    other = keras.Input((None, None, 1))
    joined = [layers.GlobalMaxPooling2D()(one) for one in (image, other)]
    entries = by_name(keras.Model([image, other], layers.Add()(joined)))
    first, second = entries["static sizes"], entries["other static sizes"]
    assert shown(first.shapes) == [
        [(64, 96), (128, 160)],
        [(64, 96), (64, 96)],
        [(64, 64), (64, 64)],
        [(256, 288), (320, 352)],
        [(256, 288), (256, 288)],
        [(256, 256), (256, 256)],
    ]
    assert shown(second.shapes) == [
        [(37, 45), (53, 61)],
        [(37, 45), (37, 45)],
        [(37, 37), (37, 37)],
        [(160, 192), (224, 256)],
        [(160, 192), (160, 192)],
        [(160, 160), (160, 160)],
    ]
    assert entries["inference"].shapes[1:] == first.shapes
    assert [first.modes, second.modes] == [(False,), (False,)]
    assert first.tentative
    assert second.tentative


def test_of_own_code_the_smallest_six_numbers_are_lengths_and_it_runs_in_both_modes():
    class Many(layers.Layer):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c, self.d, self.e, self.f, self.g = 10, 20, 30, 40, 50, 60, 70

        def call(self, x):
            return x

    entries = by_name(flow(Many(), shape=(None, 2)))
    lengths = [entry for name, entry in entries.items() if name.startswith("free axes of")]
    expected = [size + more for size in (10, 20, 30, 40, 50, 60) for more in (0, 1)]
    assert [keras.tree.flatten(entry.shapes[0])[0].shape[1] for entry in lengths] == expected
    assert {entry.modes for entry in (*lengths, entries["static sizes"])} == {(False, True)}
    assert all(entry.tentative for entry in lengths)


def test_short_texts_in_code_are_values_of_keywords_words_first():
    def fast(x):
        named = x.name in ("", "a", "two words", "bbbbbbbbbbbbbbbbbbbbbbbb", "ccccccccccccccccccccccccc")
        return x if named else -x

    assert texts_in_code(flow(layers.Lambda(fast), shape=(2,))) == ["a", "b" * 24, "two words"]


CHOICES = {"of_a_global": 901}


class Choosing(keras.Model):
    MODES = ("of_its_class", 902)
    NESTED = (("of_two_tuples", ("too_deep",)),)

    def __init__(self):
        super().__init__()
        self.modes = ["of_itself", 903]
        self.many = list(range(1000, 1040))
        self.dense = layers.Dense(3)

    def call(self, x, mode="plain"):
        y = self.dense(x)
        if mode in ("of_a_tuple", 904) or mode in {"of_a_set", 905}:
            return y * 5
        if mode in self.MODES:
            return y * 2
        return y * 3 if mode in self.modes or mode in CHOICES else y


def test_what_collections_hold_is_compared_with_too():
    model = Choosing()
    model(keras.ops.zeros((2, 4)))
    kept = {"of_a_global", "of_its_class", "of_itself", "of_two_tuples", "of_a_tuple", "of_a_set"}
    assert kept <= set(texts_in_code(model))
    assert not {"too_deep", "choosing"} & set(texts_in_code(model))
    assert {902, 903, 904, 905} <= set(lengths_in_code(model))
    assert not set(range(1001, 1040)) & set(lengths_in_code(model))


class Mode(enum.Enum):
    PLAIN = 1
    FAST = 2


def calls(factor):
    """Calls of a model that multiply by a factor under some value of a keyword."""

    def in_a_tuple(self, x, mode="plain"):
        return self.dense(x) * (factor if mode in ("fast", "slow") else 1)

    def a_text(self, x, mode=None):
        return self.dense(x) * (factor if mode == "fast" else 1)

    def a_number(self, x, steps=None):
        return self.dense(x) * (factor if steps == 7 else 1)

    def more_than(self, x, scale=1.0):
        return self.dense(x) * (factor if scale > 100 else 1)

    def less_than(self, x, scale=1.0):
        return self.dense(x) * (factor if scale < 0.75 else 1)

    def a_member(self, x, mode=Mode.PLAIN):
        return self.dense(x) * (factor if mode is Mode.FAST else 1)

    def a_member_or_nothing(self, x, mode=None):
        return self.dense(x) * (factor if mode is Mode.FAST else 1)

    def any_keyword(self, x, **given):
        return self.dense(x) * (factor if given.get("mode") == "fast" else 1)

    found = in_a_tuple, a_text, a_number, more_than, less_than, a_member, a_member_or_nothing, any_keyword
    return {one.__name__: one for one in found}


@pytest.mark.parametrize("name", calls(1))
def test_twins_that_part_under_another_value_of_a_keyword_are_different(name):
    """Once they were proved, as no value was tried under which the condition holds."""

    class Dense(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

    def built(factor):
        def build():
            model = type("Parting", (Dense,), {"call": calls(factor)[name]})()
            model(np.zeros((2, 4), "float32"))
            return model

        return build

    report = compare(built(2), built(3))
    assert report.verdict is Verdict.DIFFERENT, str(report)
    assert compare(built(2), built(2)).verdict is Verdict.EQUIVALENT


class Looking(keras.Model):
    def call(self, inputs, training=None, **given):
        factor = given.get("factor", 1) if "scaled" in given else 2
        return inputs["user"] * factor + inputs["item"] * (
            given["shift"] if given.pop("shifted", None) else 0
        )


class HandingOn(keras.Model):
    def call(self, inputs, **given):
        return self.sum(inputs["user"], inputs["item"], **given)

    def sum(self, user, item, *, mode="plain", training=None):
        return user * item if mode == "product" else user + item


class TakingAnything(keras.Model):
    def call(self, inputs, training=None, **given):
        return inputs["user"] + inputs["item"]


@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (Looking, ["factor", "scaled", "shift", "shifted"]),
        (HandingOn, ["mode"]),
        (TakingAnything, []),
    ],
)
def test_keywords_are_those_that_code_looks_up_or_takes(cls, names):
    model = cls()
    model({"user": np.zeros((2, 4), "float32"), "item": np.zeros((2, 4), "float32")})
    assert names_in_code(model) == names
    assert {entry.arguments[0][0] for entry in entries_of(model) if entry.arguments} == set(names)


def test_a_recording_leaves_out_what_a_file_cannot_hold(tmp_path):
    class Choosing(keras.Model):
        def call(self, x, mode=Mode.PLAIN, mask=None):
            return x * 2 if mode is Mode.FAST else x

    def build():
        model = Choosing()
        model(np.zeros((2, 4), "float32"))
        return model

    kept = {entry.name: can_be_kept(entry) for entry in entries_of(build())}
    assert [name for name in kept if not kept[name]] == ["call with mode=<Mode.FAST: 2>"]
    assert kept["call with mask=a mask"]
    path = record(build, tmp_path / "choosing.kerasequiv")
    assert compare(path, build).verdict is not Verdict.DIFFERENT


def test_numbers_in_code_count_as_lengths_within_limits():
    class Limits(layers.Layer):
        def __init__(self):
            super().__init__()
            self.least, self.most = 2, LONGEST
            self.less, self.more, self.flag = 1, LONGEST + 1, True

        def call(self, x):
            return x

    assert LONGEST == 4096
    assert lengths_in_code(flow(Limits(), shape=(None, 2))) == [2, LONGEST]


def asks(x):
    return x if tf.executing_eagerly() else x * 2


def asks_within(x):
    return keras.tree.map_structure(lambda one: one if tf.executing_eagerly() else one * 2, x)


def asks_by_attribute(x):
    return x if hasattr(x, "numpy") else x * 2


def asks_something_else(x):
    return x if hasattr(x, "shape") else x * 2


@pytest.mark.parametrize("function", [asks, asks_within, asks_by_attribute, asks_something_else])
def test_own_code_that_asks_whether_it_runs_eagerly_is_told(function):
    layer = layers.Lambda(function)
    found = asking_how_they_run(flow(layer, layers.Dense(1), shape=(2,)))
    assert found == ([] if function is asks_something_else else [layer])


def test_a_fixed_batch_axis_stays():
    assert settled(Spec((4, None, 2)), lambda *_: 5) == Spec((4, 5, 2))


def test_an_entry_is_told_with_its_sizes_where_it_settled_them():
    free, fixed = Spec((None, None, 2)), Spec((None, 64, 2))
    several = Entry("inference", Kind.INFERENCE, (free, fixed))
    assert covered(several, free) == "inference"
    assert covered(several, fixed).startswith("inference ")
    assert "64" in covered(several, fixed)
    assert covered(Entry("inference", Kind.INFERENCE, (fixed,)), fixed) == "inference"


@pytest.mark.parametrize(("member", "tentative"), [("metrics", True), ("train_step", False)])
def test_a_step_that_is_kerass_but_for_its_metrics_may_lack_a_loss(member, tentative):
    value = property(lambda self: []) if member == "metrics" else lambda self, *_: None
    own = type("Own", (keras.Model,), {member: value})
    inputs = keras.Input((4,))
    entries = by_name(own(inputs, layers.Dense(1)(inputs)))
    assert entries["train_step"].tentative is tentative


def test_loops_of_the_users_are_named():
    own = type("Own", (keras.Model,), {"fit": lambda self: None, "predict_on_batch": lambda self: None})
    inputs = keras.Input((4,))
    assert own_loops(own(inputs, layers.Dense(1)(inputs))) == ["fit", "predict_on_batch"]


def test_a_function_set_for_a_loop_is_one_of_the_users():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.zeros((2, 4)), np.zeros((2, 1)), verbose=0)
    assert own_loops(model) == []  # Keras keeps its own there
    model.train_function = lambda batches: {"loss": 0.0}
    assert own_loops(model) == ["train_function"]


def test_one_side_alone_with_such_a_function_is_inconclusive():
    def build(*, own):
        model = keras.Sequential([keras.Input((4,)), layers.Dense(1)])
        model.compile("sgd", "mse")
        if own:
            model.train_function = lambda batches: {"loss": 0.0}
        return model

    report = compare(lambda: build(own=False), lambda: build(own=True))
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
