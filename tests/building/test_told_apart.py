"""By what an optimizer may know each weight, beyond its numbers."""

import keras
import numpy as np
import pytest
from keras import layers, optimizers

from pytest_kerasequiv import Evidence, InputError, Training, Verdict, compare
from pytest_kerasequiv.building.told_apart import told_apart
from pytest_kerasequiv.training.engines.support import unsupported

PLAN = Training((np.zeros((8, 6)), np.zeros((8, 1))), (np.zeros((4, 6)), np.zeros((4, 1))))


class ByName(optimizers.SGD):
    """A user's optimizer: it goes by the names of weights."""

    def update_step(self, gradient, variable, learning_rate):
        factor = 0.1 if "slow/" in variable.name else 1.0
        super().update_step(gradient, variable, learning_rate * factor)


def excluding(*names):
    def made():
        optimizer = optimizers.AdamW(0.01, weight_decay=0.1)
        optimizer.exclude_from_weight_decay(var_names=list(names))
        return optimizer

    return made


def net(optimizer, name="hidden", loss="mse"):
    inputs = keras.Input((6,))
    hidden = layers.Dense(8, activation="tanh", name=name)(inputs)
    model = keras.Model(inputs, layers.Dense(1, name="out")(hidden))
    model.compile(optimizer(), loss)
    return model


def treated(model):
    return {one["weight"]: one["treated"] for one in told_apart(model).values() if one["treated"]}


def test_an_optimizer_of_single_elements_knows_weights_by_their_numbers_alone():
    assert told_apart(net(lambda: optimizers.Adam(weight_decay=0.1))) == {}
    assert told_apart(net(lambda: optimizers.SGD(clipnorm=1.0))) == {}


def test_weights_excluded_from_decay_are_those_that_keras_leaves_out():
    model = net(excluding("hidden/", "bias"))
    undecayed = {"hidden/kernel", "hidden/bias", "out/bias"}
    assert treated(model) == {path: ["no weight decay"] for path in undecayed}
    before = {v.path: v.numpy() for v in model.variables}
    model.optimizer.apply([keras.ops.zeros_like(v) for v in model.variables], model.variables)
    moved = {v.path for v in model.variables if (v.numpy() != before[v.path]).any()}
    assert moved == {"out/kernel"}


def test_nothing_is_excluded_from_a_decay_that_there_is_not():
    def optimizer():
        made = optimizers.Adam()
        made.exclude_from_weight_decay(var_names=["bias"])
        return made

    assert told_apart(net(optimizer)) == {}


def test_an_optimizer_that_is_not_known_to_go_by_elements_may_see_shapes():
    known = told_apart(net(optimizers.Adafactor))
    assert [one["seen"] for one in known.values()] == [[[6, 8]], [[8]], [[8, 1]], [[1]]]


class Unknown(optimizers.SGD):
    """One that a later Keras might bring."""


Unknown.__module__ = "keras.src.optimizers.unknown"


@pytest.mark.parametrize("cls", [ByName, Unknown])
def test_an_optimizer_of_the_users_or_an_unknown_one_may_see_names_and_shapes(cls):
    known = told_apart(net(cls))
    assert known["0"] == {
        "weight": "hidden/kernel",
        "treated": [],
        "seen": ["hidden/kernel:0", "hidden/kernel", [6, 8]],
    }


MUON = getattr(optimizers, "Muon", None)
muon = pytest.mark.skipif(MUON is None, reason="needs Keras 3.10, which brought Muon")


@muon
def test_what_muon_leaves_to_adam_goes_by_names_and_shapes():
    expected = {"embedding/kernel", "embedding/bias", "out/bias"}
    assert treated(net(MUON, name="embedding")) == {path: ["steps of Adam"] for path in expected}


@pytest.mark.parametrize(
    ("optimizer", "other"),
    [
        (excluding("hidden/"), "renamed"),
        pytest.param(lambda: MUON(0.01), "token_embedding", marks=muon),
        (lambda: ByName(0.1), "slow"),
    ],
    ids=["excluding", "Muon", "own"],
)
def test_a_layer_renamed_for_an_optimizer_that_goes_by_names_is_not_proved_the_same(optimizer, other):
    report = compare(lambda: net(optimizer), lambda: net(optimizer, other))
    assert report["program"].verdict is Verdict.EQUIVALENT
    assert report.verdict is Verdict.DIFFERENT, str(report)
    assert report["updates"].verdict is Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (excluding("hidden/", "bias"), excluding("renamed/", "bias")),
        (excluding("bias"), excluding("bias")),
    ],
)
def test_a_layer_renamed_for_one_that_treats_each_weight_alike_is_proved_the_same(reference, candidate):
    report = compare(lambda: net(reference), lambda: net(candidate, "renamed"))
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED), str(report)


def test_an_optimizer_of_the_users_that_does_not_go_by_names_is_measured():
    class Own(optimizers.SGD):
        pass

    report = compare(lambda: net(Own), lambda: net(Own, "renamed"))
    assert report.verdict is Verdict.EQUIVALENT, str(report)
    assert report["updates"].evidence is Evidence.MEASURED


def test_an_optimizer_with_a_method_set_on_it_may_see_names():
    def half():
        made = optimizers.SGD(0.1)
        step = made.update_step
        made.update_step = lambda gradient, variable, rate: step(gradient, variable, rate / 2)
        return made

    assert all(len(one["seen"]) == 3 for one in told_apart(net(half)).values())
    with pytest.raises(InputError, match="another update_step set on it"):
        compare(lambda: net(lambda: optimizers.SGD(0.1)), lambda: net(half))


def test_a_metric_with_a_method_set_on_it_is_not_the_metric_of_its_class():
    def model(altered):
        metric = keras.metrics.MeanAbsoluteError()
        if altered:
            metric.result = lambda: keras.ops.convert_to_tensor(0.0)
        made = net(optimizers.Adam)
        made.compile("adam", "mse", metrics=[metric])
        return made

    report = compare(lambda: model(False), lambda: model(True))
    assert report.verdict is Verdict.DIFFERENT, str(report)
    assert unsupported(model(False), PLAN) is None
    assert unsupported(model(True), PLAN) == "metrics has another result set on it"


def test_steps_that_an_optimizer_has_taken_before_are_told():
    def trained():
        made = net(optimizers.Adam)
        made.optimizer.iterations.assign(1000)
        return made

    report = compare(lambda: net(optimizers.Adam), trained)
    assert report.verdict is Verdict.EQUIVALENT
    told = [one.message for one in report.findings if one.field == "steps taken"]
    assert "taken 0 steps before in the reference and 1000 in the candidate" in told[0]


def test_a_model_that_is_compiled_without_an_optimizer_is_compared():
    def build():
        made = net(optimizers.Adam)
        made.compile(optimizer=None, loss="mse")
        return made

    assert told_apart(build()) == {}
    for checks in (None, ["updates"]):
        report = compare(build, build, checks=checks)
        assert report.verdict is Verdict.EQUIVALENT, str(report)
