"""What a plan takes beside the data, as ``Model.fit`` does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.training.engines.choice import make_arm
from pytest_kerasequiv.training.engines.fit import train_fresh
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.setup import check_data

X = np.random.default_rng(0).normal(size=(40, 4)).astype("float32")
Y = (X.sum(axis=1, keepdims=True) > 0).astype("float32")
SET = tf.data.Dataset.from_tensor_slices((X, Y)).batch(16)
WEIGHTS = {0: 1.0, 1: 5.0}


def stops():
    return [keras.callbacks.EarlyStopping(patience=0, min_delta=1e9, restore_best_weights=True)]


def by_hand(build, seed=3, data=(X, Y), **options):
    keras.utils.set_random_seed(seed)
    model = build()
    model.fit(*data, epochs=4, batch_size=16, shuffle=False, verbose=0, **options)
    return model.evaluate(X, Y, verbose=0, return_dict=True)


@pytest.fixture(scope="module")
def plain(mlp):
    return by_hand(mlp)


@pytest.fixture(scope="module")
def weighed(mlp):
    return by_hand(mlp, class_weight=WEIGHTS)


@pytest.fixture(scope="module")
def stopped(mlp):
    return by_hand(mlp, validation_data=SET, callbacks=stops())


@pytest.mark.parametrize(
    ("options", "of_fit"),
    [
        ({"class_weight": WEIGHTS}, {"class_weight": WEIGHTS}),
        ({"sample_weight": np.linspace(0, 3, 40)}, {"sample_weight": np.linspace(0, 3, 40)}),
        (
            {"callbacks": stops, "validation_data": (X, Y)},
            {"callbacks": stops(), "validation_data": (X, Y)},
        ),
        ({"callbacks": stops, "validation_split": 0.25}, {"callbacks": stops(), "validation_split": 0.25}),
        ({"steps_per_epoch": 1}, {"steps_per_epoch": 1}),
    ],
    ids=["class_weight", "sample_weight", "validation_data", "validation_split", "steps_per_epoch"],
)
def test_bit_for_bit_what_fit_does(options, of_fit, mlp, source_of, plain):
    plan = Training((X, Y), (X, Y), epochs=4, batch_size=16, **options)
    found = train_fresh(source_of(mlp), plan, 3)
    assert found.metrics == by_hand(mlp, **of_fit) != plain


@pytest.mark.parametrize("data", [SET, lambda: SET, lambda: iter(SET), lambda: (X, Y)])
def test_weights_of_classes_go_with_data_in_batches(data, mlp, source_of, weighed):
    plan = Training(data, (X, Y), epochs=4, batch_size=16, class_weight=WEIGHTS)
    check_data(plan)
    assert train_fresh(source_of(mlp), plan, 3).metrics == pytest.approx(weighed, rel=1e-5)


@pytest.mark.parametrize("data", [SET, lambda: SET])
def test_data_to_validate_on_may_come_in_batches(data, mlp, source_of, stopped):
    plan = Training((X, Y), (X, Y), epochs=4, batch_size=16, validation_data=data, callbacks=stops)
    check_data(plan)
    assert train_fresh(source_of(mlp), plan, 3).metrics == stopped


def test_every_run_gets_callbacks_of_its_own(mlp, source_of):
    made = []

    def callbacks():
        made.append(keras.callbacks.Callback())
        return made[-1]

    plan = Training((X, Y), (X, Y), callbacks=callbacks, seeds=3)
    arm = make_arm(source_of(mlp), plan, "reference")
    runs = list(arm.train(plan.seed_values))
    assert len({id(one) for one in made}) == 4  # that of seed 1 twice: on a fresh model too
    assert arm.reason.startswith("fit and not vectorized, since callbacks= is given; one compiled model")
    assert "checked under seed 1: a fresh model gave the same bits" in arm.reason
    assert [run.failure for run in runs] == [None] * 3


LIVE = stops()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"callbacks": LIVE},
            r"callbacks=\[.*\] are live objects, whose state .*callbacks=lambda",
        ),
        ({"class_weight": {"dog": 2}}, r"class_weight=\{'dog': 2\} must be a dict of whole class numbers"),
        ({"class_weight": {0: -1}}, "weights of at least 0"),
        ({"class_weight": {0: "heavy"}}, "weights of at least 0"),
        ({"class_weight": {0: None}}, "weights of at least 0"),
        (
            {"class_weight": {0: 1}, "sample_weight": np.ones(40)},
            "class_weight and sample weights of train are",
        ),
        ({"validation_split": 1.0}, "validation_split=1.0 must be a share"),
        ({"validation_split": 0.1, "validation_data": (X, Y)}, "are both given"),
        ({"steps_per_epoch": 0}, "steps_per_epoch=0 must be a whole number of at least 1"),
        (
            {"train": SET, "sample_weight": np.ones(40)},
            "sample_weight goes with arrays, and train is a tf.data",
        ),
        ({"train": (X, Y, Y[:, 0]), "sample_weight": np.ones(40)}, r"sample_weight goes with train=\(x, y\)"),
        (
            {"train": (X, [Y, Y]), "class_weight": {0: 1}},
            "class_weight goes with one target, and train has sev",
        ),
        (
            {"train": SET, "validation_split": 0.2},
            "validation_split goes with arrays, and train is a tf.data",
        ),
    ],
)
def test_what_is_refused(options, told):
    with pytest.raises(InputError, match=told):
        Training(**{"train": (X, Y), "test": (X, Y), **options})


@pytest.mark.parametrize(
    ("callbacks", "told"),
    [
        (
            lambda: LIVE,
            "returned the same EarlyStopping twice, whose state would go from one run to the next",
        ),
        (lambda: [print], "which is no keras.callbacks.Callback"),
    ],
)
def test_callbacks_that_are_no_fresh_ones_are_refused(callbacks, told):
    with pytest.raises(InputError, match=told):
        check_data(Training((X, Y), (X, Y), callbacks=callbacks))


def test_weights_of_a_batch_and_of_its_class_exclude_each_other():
    weighed = tf.data.Dataset.from_tensor_slices((X, Y, Y[:, 0])).batch(16)
    with pytest.raises(InputError, match="class_weight and sample weights of train are both given"):
        check_data(Training(weighed, (X, Y), class_weight=WEIGHTS))


def test_a_plan_with_other_defaults_keeps_what_it_was_given():
    plan = Training(
        (X, Y), (X, Y), class_weight=WEIGHTS, callbacks=stops, validation_data=(X, Y), steps_per_epoch=2
    )
    other = plan.with_defaults(seeds=4, alpha=0.1)
    assert other.seeds == 4
    for name in ("train", "test", "validation_data", "callbacks", "steps_per_epoch"):
        assert getattr(other, name) is getattr(plan, name)
