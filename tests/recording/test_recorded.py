"""Comparing with a recording: what it can say, and what it says nothing about."""

import dataclasses
import functools
import json
import platform

import keras
import numpy as np
import pytest
import tensorflow as tf
from tests.recording.conftest import LAYERS, functional, made, rewritten, unbuilt

from pytest_kerasequiv import Evidence, InputError, Twins, Verdict, assert_equivalent, compare, record
from pytest_kerasequiv.__main__ import main
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.recording.archive import Archive, read, write

OPS = keras.ops
NUMERIC = ("outputs", "gradients", "updates")


@pytest.mark.parametrize("candidate", [made, functional, unbuilt], ids=lambda one: one.__name__)
def test_the_same_program_is_proved(recording, candidate):
    report = compare(recording, candidate)
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.PROVED), str(report)
    assert all(report[name].figures == {"follows": "program"} for name in NUMERIC)


def test_in_full_the_numbers_agree_too(recording):
    report = compare(recording, functional, checks="all")
    assert report.verdict is Verdict.EQUIVALENT, str(report)
    assert [report[name].evidence for name in NUMERIC] == [Evidence.MEASURED] * 3
    assert report["gradients"].figures["tolerance"]["origin"] == "derived"


def test_a_rewritten_model_is_measured(recording):
    report = compare(recording, rewritten)
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.MEASURED), str(report)


@pytest.mark.parametrize(
    ("change", "check", "field", "layer"),
    [
        ({"activation": "gelu"}, "outputs", "activation", "sequential/dense"),
        ({"rate": 0.4}, "gradients", "rate", "sequential/dropout"),
        ({"momentum": 0.9}, "gradients", "momentum", "sequential/batch_normalization"),
        ({"initializer": "he_normal"}, "weights", "kernel_initializer", "sequential/dense"),
        ({"learning_rate": 2e-3}, "updates", "optimizer.learning_rate", None),
        ({"width": 31}, "weights", "kernel shape", "sequential/dense"),
    ],
    ids=str,
)
def test_a_changed_setting_is_found_and_named_first(recording, change, check, field, layer):
    report = compare(recording, functools.partial(made, **change))
    assert report.verdict is Verdict.DIFFERENT, str(report)
    assert report[check].verdict is Verdict.DIFFERENT
    first = report[check].findings[0]
    assert (first.field, first.reference_layer) == (field, layer)


def test_a_layer_that_differs_is_found_by_what_it_returns(recording):
    def shifted():
        inputs = keras.Input((4,))
        x = LAYERS.ReLU()(LAYERS.Dense(30)(inputs))
        x = LAYERS.BatchNormalization()(LAYERS.Dropout(0.3)(x) * 1.5)
        model = keras.Model(inputs, LAYERS.Dense(3)(x))
        model.compile("adam", "mse", metrics=["mae"])
        return model

    report = compare(recording, shifted)
    assert report["outputs"].verdict is Verdict.DIFFERENT, str(report)
    first = report["outputs"].findings[0]
    assert first.candidate_layer is not None, str(report)


def test_a_recording_is_a_reference_wherever_one_is_taken(recording, capsys):
    assert assert_equivalent(str(recording), made).verdict is Verdict.EQUIVALENT
    twins = Twins(recording, made)
    assert twins.recording == recording
    assert compare(twins, checks=["summary"]).verdict is Verdict.EQUIVALENT
    assert main([str(recording), "tests.recording.conftest:functional"]) == 0
    assert "EQUIVALENT (proved)" in capsys.readouterr().out


def test_the_report_says_under_what_it_was_recorded(recording):
    report = compare(recording, made)
    context = json.loads(json.dumps(report.to_dict()))["context"]
    assert context["recorded"]["versions"]["keras"] == keras.__version__
    assert f"recorded under: python {platform.python_version()}" in " ".join(str(report).split())


def under_other_versions(recording, path, **others):
    """The same recording, as if another Keras, or another library or Python, had made it."""
    known = read(recording)
    versions = {**known.made["versions"], **(others or {"keras": "3.9.0"})}
    write(path, Archive({**known.made, "versions": versions}, known.parts))
    return path


def test_another_version_of_keras_leaves_measuring(recording, tmp_path):
    report = compare(under_other_versions(recording, tmp_path / "old.kerasequiv"), functional)
    assert (report.verdict, report.evidence) == (Verdict.EQUIVALENT, Evidence.MEASURED), str(report)
    assert "keras 3.9.0 (here" in str(report["program"].findings)


def with_layer(call):
    """A model of one layer of the user's own, which computes with a function."""

    class Own(keras.layers.Layer):
        pass

    Own.call = call
    return keras.Sequential([keras.Input((4,)), Own(name="own")])


def test_code_that_another_python_compiled_decides_nothing(tmp_path):
    path = record(lambda: with_layer(lambda self, x: x + x), tmp_path / "x.kerasequiv")

    def candidate():
        return with_layer(lambda self, x: 2.0 * x)

    assert compare(path, candidate, checks=["graph"]).verdict is Verdict.DIFFERENT
    older = under_other_versions(path, tmp_path / "old.kerasequiv", python="3.9.1")
    report = compare(older, candidate, checks=["graph"])
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)
    assert "recorded under another Python" in report.findings[0].message


def test_what_only_the_candidate_can_be_asked_is_not_passed(tmp_path):
    """A keyword of its own, of which nothing was recorded, in a model whose outputs agree."""

    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = LAYERS.Dense(2)

        def call(self, x, flip=False):
            return -self.dense(x) if flip else self.dense(x)

    def plain():
        return keras.Sequential([keras.Input((3,)), LAYERS.Dense(2)])

    def own():
        model = Own()
        model(keras.Input((3,)))
        return model

    report = compare(record(plain, tmp_path / "x.kerasequiv"), own)
    assert report["outputs"].verdict is Verdict.INCONCLUSIVE, str(report)
    assert "only the candidate has 'call with flip=True'" in report["outputs"].findings[0].message
    assert report.verdict is not Verdict.EQUIVALENT


def test_a_candidate_that_is_not_compiled_is_no_other_model(recording):
    """Its loss cannot be compared; that is said, and is no difference."""

    def plain():
        layers = [LAYERS.Dense(30, "relu"), LAYERS.Dropout(0.3), LAYERS.BatchNormalization(), LAYERS.Dense(3)]
        return keras.Sequential([keras.Input((4,)), *layers])

    report = compare(recording, plain)
    assert report["outputs"].verdict is Verdict.EQUIVALENT, str(report)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "compile the candidate too" in str(report["gradients"].findings)


def test_there_is_no_live_reference(recording):
    """No builder of it is at hand; what would make one refuses."""
    with pytest.raises(InputError, match="is a recording: it holds what a model was observed"):
        _ = Twins(recording, made).reference


@pytest.mark.parametrize(
    ("twins", "message"),
    [
        (lambda path: Twins(made, path), "can only be the reference"),
        (Twins, "no candidate can be derived"),
    ],
)
def test_a_recording_elsewhere_is_refused(recording, twins, message):
    with pytest.raises(InputError, match=message):
        twins(recording)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1}, "was made with seed=0"),
        ({"weights": "own"}, "holds no weights"),
        ({"inputs": np.zeros((2, 4), "float32")}, "was made with no inputs="),
    ],
)
def test_what_does_not_go_with_a_recording_is_refused(recording, options, message):
    with pytest.raises(InputError, match=message):
        compare(recording, made, **options)


def test_a_model_for_other_inputs_is_refused(recording):
    def other():
        return keras.Sequential([keras.Input((5,)), LAYERS.Dense(3)])

    with pytest.raises(InputError, match="compare it with a model for the same inputs"):
        compare(recording, other)


def test_the_users_own_inputs_are_compared_on_and_must_be_the_same(tmp_path):
    inputs = np.random.default_rng(0).standard_normal((70, 4)).astype("float32")
    path = record(made, tmp_path / "x.kerasequiv", inputs=inputs)
    assert inputs.tobytes()[:64] not in path.read_bytes()
    report = compare(path, functional, inputs=inputs, checks=NUMERIC)
    assert report.verdict is Verdict.EQUIVALENT, str(report)
    assert report["outputs"].figures["outputs"][0]["what"].endswith("'your inputs' (batch of 70)")
    for other in (inputs + 1, None):
        with pytest.raises(InputError, match="other inputs= than are given"):
            compare(path, functional, inputs=other)


def test_more_steps_than_were_recorded_are_refused(recording):
    from pytest_kerasequiv.comparison import Comparison

    comparison = Comparison(Twins(recording, made))
    assert comparison.check("updates", steps=2).verdict is Verdict.EQUIVALENT
    with pytest.raises(InputError, match="holds 5; ask for no more"):
        comparison.check("updates", steps=6)


def test_a_check_that_is_not_in_the_recording_is_inconclusive(recording, tmp_path):
    known = read(recording)
    parts = {name: part for name, part in known.parts.items() if name != "gradients"}
    write(tmp_path / "x.kerasequiv", Archive(known.made, parts))
    result = compare(tmp_path / "x.kerasequiv", made, checks=["gradients"])["gradients"]
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "holds nothing for this check" in result.findings[0].message


def test_a_check_of_ones_own_is_inconclusive(recording):
    own = dataclasses.replace(LADDER["summary"], name="own")
    with LADDER.replaced([*LADDER, own]):
        assert compare(recording, made, checks=["own"]).verdict is Verdict.INCONCLUSIVE


def over(body, shape=(6,), dtype=None):
    """Return a builder of the model of a function of one input."""

    def build():
        inputs = keras.Input(shape, dtype=dtype)
        return keras.Model(inputs, body(inputs))

    return build


IDS = {"dtype": "int32"}
PLAIN = Verdict.INCONCLUSIVE, Verdict.DIFFERENT
ALIKE = Verdict.EQUIVALENT, Verdict.EQUIVALENT


@pytest.mark.parametrize(
    ("one", "other", "verdicts"),
    [
        (over(lambda x: x * 1.0), over(lambda x: OPS.clip(x, -1e6, 1e6)), PLAIN),
        (over(OPS.relu), over(lambda x: OPS.where(x > 1e-3, x, 0.0)), PLAIN),
        (
            over(lambda x: x * 1, **IDS),
            over(lambda x: OPS.where(OPS.equal(x, 777), -1, x), **IDS),
            PLAIN,
        ),
        (
            over(lambda x: OPS.sum(x, axis=1), (None, 3)),
            over(lambda x: OPS.sum(x[:, :400], axis=1), (None, 3)),
            PLAIN,
        ),
        (over(OPS.relu), over(lambda x: OPS.maximum(x, 0.0)), ALIKE),
        (over(OPS.relu6), over(lambda x: OPS.clip(x, 0.0, 6.0)), ALIKE),
        (
            over(lambda x: x[:, :, :3], (None, 6)),
            over(lambda x: OPS.split(x, 2, axis=-1)[0], (None, 6)),
            ALIKE,
        ),
    ],
    ids=["clip", "small", "id", "length", "relu", "relu6", "channels"],
)
def test_what_only_the_candidate_compares_with_was_tried_by_no_recorded_batch(tmp_path, one, other, verdicts):
    """Recorded the other way round, batches are drawn about the number, and tell the two apart."""
    first, second = (
        compare(record(one, tmp_path / "a.kerasequiv"), other),
        compare(record(other, tmp_path / "b.kerasequiv"), one),
    )
    assert (first.verdict, second.verdict) == verdicts, f"{first}\n{second}"
    assert ("that no recorded batch was drawn about it" in " ".join(str(first).split())) is (
        verdicts == PLAIN
    )


def test_draws_elsewhere_are_not_decided_by_a_recording(recording):
    """Dropout behind the normalisation: single passes differ, and only other seeds would tell."""

    def moved():
        layers = [LAYERS.Dense(30, "relu"), LAYERS.BatchNormalization(), LAYERS.Dropout(0.3), LAYERS.Dense(3)]
        model = keras.Sequential([keras.Input((4,)), *layers])
        model.compile("adam", "mse", metrics=["mae"])
        return model

    report = compare(recording, moved)
    assert report.verdict is not Verdict.EQUIVALENT, str(report)


def test_a_missing_and_a_damaged_recording_are_told(recording, tmp_path):
    with pytest.raises(InputError, match="there is no recording"):
        compare(tmp_path / "none.kerasequiv", made)
    content = recording.read_bytes()
    (tmp_path / "x.kerasequiv").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="cut off"):
        compare(tmp_path / "x.kerasequiv", made)


def test_inputs_that_hold_more_than_the_recorded_ones_were_tried_by_no_recorded_batch(tmp_path):
    whole, any_number = over(lambda x: OPS.cast(x, "float32"), **IDS), over(lambda x: x * 1.0)
    report = compare(record(whole, tmp_path / "a.kerasequiv"), any_number)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert "takes float32 where the recorded model takes int32" in " ".join(str(report).split())
    assert compare(record(any_number, tmp_path / "b.kerasequiv"), whole).verdict is Verdict.DIFFERENT


def test_a_recorded_model_of_integers_was_tried_with_large_ones(tmp_path):
    squared, exact = (
        over(lambda x: OPS.cast(x * x, "float32"), **IDS),
        over(lambda x: OPS.cast(x, "float32") ** 2, **IDS),
    )
    for number, (one, other) in enumerate([(squared, exact), (exact, squared)]):
        report = compare(record(one, tmp_path / f"{number}.kerasequiv"), other)
        assert report.verdict is Verdict.DIFFERENT, report


class OwnStep(keras.Sequential):
    """Its step takes targets and sample weights."""

    def train_step(self, data):
        x, y, weights = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x, y, self(x, training=True), weights)
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


def own_step():
    model = OwnStep([keras.Input((4,)), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    return model


def test_an_own_step_with_sample_weights_is_recorded(tmp_path):
    recording = record(own_step, tmp_path / "own.kerasequiv")
    report = compare(recording, own_step, checks=["outputs"])
    assert report.verdict is Verdict.EQUIVALENT, str(report)
