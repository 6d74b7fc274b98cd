"""By what an optimizer may know each weight, beyond its numbers."""

import keras
import pytest
from keras import layers, optimizers

from pytest_kerasequiv import Evidence, Verdict, compare
from pytest_kerasequiv.building.told_apart import told_apart


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


def test_an_optimizer_of_the_users_may_see_names_and_shapes():
    known = told_apart(net(ByName))
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
