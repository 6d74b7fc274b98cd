"""A candidate on another backend: equal models are EQUIVALENT there, and each fault is found."""

import sys
from functools import partial

import numpy as np
import pytest
from tests.common import across_backends as models
from tests.common.across_backends import EACH

from pytest_kerasequiv import InputError, Training, Twins, Verdict, compare


@pytest.mark.parametrize("backend", EACH)
@pytest.mark.parametrize(
    ("build", "options"),
    [
        (models.small, {}),
        (models.cnn, {}),
        (models.gru, {}),
        (models.transformer, {}),
        (models.noisy, {}),
        (models.clipped, {}),
        (models.normalized, {}),
        (models.scaled, {"input_shape": (6,)}),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_model_is_equivalent_to_itself_on_another_backend(backend, build, options):
    report = compare(build, backend=backend, **options)
    assert report.verdict is Verdict.EQUIVALENT, str(report)
    assert report["summary"].verdict is Verdict.EQUIVALENT, str(report)
    for name in ("outputs", "gradients"):
        assert report[name].figures["tolerance"]["origin"] == "derived"
        assert report[name].figures["probes"] > 1


@pytest.mark.parametrize("backend", EACH)
def test_the_models_of_the_question_are_equivalent(backend):
    report = compare(models.sequential, models.functional, backend=backend)
    assert report.verdict is Verdict.EQUIVALENT, str(report)
    assert report["program"].verdict is Verdict.INCONCLUSIVE
    assert "runs on" in report["program"].findings[0].message
    assert "not compared" in report.not_run["updates"]


FAULTS = {
    "activation": ({"activation": "elu"}, "outputs"),
    "epsilon": ({"epsilon": 1.1e-3}, "outputs"),
    "momentum": ({"momentum": 0.98}, "gradients"),
    "rate": ({"rate": 0.31}, "gradients"),
    "recurrent_dropout": ({"recurrent_dropout": 0.11}, "gradients"),
    "kernel_regularizer": ({"regularizer": "l2"}, "gradients"),
    "trainable": ({"frozen": True}, "weights"),
    "kernel_constraint": ({"constraint": "max_norm"}, "weights"),
    "kernel_initializer": ({"initializer": "he_normal"}, "weights"),
    "unit_forget_bias": ({"forget": False}, "weights"),
    "loss": ({"loss": "mae"}, "gradients"),
    "optimizer.learning_rate": ({"learning_rate": 1.01e-3}, "updates"),
}


@pytest.mark.parametrize("backend", EACH)
@pytest.mark.parametrize("field", FAULTS)
def test_a_fault_is_found_and_named(backend, field):
    change, check = FAULTS[field]
    report = compare(models.small, partial(models.small, **change), backend=backend)
    assert report.verdict is Verdict.DIFFERENT
    assert report[check].verdict is Verdict.DIFFERENT, str(report)
    assert any(field in one.field for one in report.findings if one.severity == "difference"), str(report)


@pytest.mark.parametrize("backend", EACH)
@pytest.mark.parametrize(
    ("reference", "candidate", "layer"),
    [
        (models.transformer, partial(models.transformer, epsilon=1e-5), "layer_normalization"),
        (models.noisy, partial(models.noisy, stddev=0.11), "noise"),
    ],
    ids=["transformer", "noise"],
)
def test_the_layer_at_fault_is_named(backend, reference, candidate, layer):
    report = compare(reference, candidate, backend=backend)
    assert report.verdict is Verdict.DIFFERENT
    assert any(layer in (one.candidate_layer or "") for one in report.findings), str(report)


@pytest.mark.parametrize("backend", EACH)
def test_a_setting_that_no_number_shows_is_undecided_until_it_is_accepted(backend):
    twins = Twins(models.clipped, partial(models.clipped, 900.0), backend=backend)
    report = compare(twins)
    assert report.verdict is Verdict.INCONCLUSIVE
    assert [one.field for one in report["program"].differences] == ["max_value"]
    assert compare(twins, accept=["clip.max_value"]).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("backend", EACH)
def test_own_code_that_differs_is_never_equivalent(backend):
    report = compare(models.scaled, partial(models.scaled, 1.001), backend=backend, input_shape=(6,))
    assert report.verdict is Verdict.DIFFERENT
    blank = compare(
        models.scaled,
        partial(models.scaled, 1.001),
        backend=backend,
        input_shape=(6,),
        checks=["program"],
    )
    assert any(one.field == "code" for one in blank["program"].differences), str(blank)


@pytest.mark.parametrize("backend", EACH)
def test_what_cannot_be_drawn_alike_is_undecided(backend):
    report = compare(models.drawing_alone, backend=backend)
    assert report.verdict is Verdict.INCONCLUSIVE, str(report)


@pytest.mark.parametrize("backend", EACH)
def test_updates_asked_for_by_name_are_undecided_and_say_why(backend):
    report = compare(models.small, backend=backend, checks=["updates"])
    assert report["updates"].verdict is Verdict.INCONCLUSIVE
    assert "not compared" in report["updates"].findings[0].message


@pytest.mark.parametrize("backend", EACH)
def test_training_is_compared_unpaired(backend):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 6)).astype("float32"), rng.normal(size=(32, 2)).astype("float32")
    plan = Training((x, y), (x, y), seeds=10, margin=10.0, batch_size=16)
    report = compare(models.noisy, backend=backend, training=plan, checks=["training"])
    assert report["training"].verdict is Verdict.EQUIVALENT, str(report)
    assert any("not paired" in one.message for one in report["training"].findings)
    assert not report["training"].figures["paired"]


@pytest.mark.parametrize("backend", EACH)
def test_a_file_is_compared_with_itself_on_another_backend_with_its_own_weights(backend, tmp_path):
    file = tmp_path / "model.keras"
    models.gru().save(file)
    twins = Twins(file, backend=backend)
    assert twins.weights == "own"
    assert compare(twins).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("backend", EACH)
def test_local_builders_and_models_are_shipped(backend):
    units = 3

    def build():
        return models.keras.Sequential([models.keras.Input((4,)), models.layers.Dense(units)])

    assert compare(build, backend=backend).verdict is Verdict.EQUIVALENT
    assert compare(build(), backend=backend).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("backend", EACH)
def test_what_breaks_there_is_told_with_its_trace(backend):
    with pytest.raises(InputError, match="candidate 'refusing' cannot be built") as caught:
        compare(models.refusing, backend=backend)
    assert "only for TensorFlow" in str(caught.value.__cause__)


@pytest.mark.parametrize("backend", EACH)
def test_other_inputs_there_are_refused(backend):
    with pytest.raises(InputError, match=r"has shape \(6,\), of candidate"):
        compare(models.other_inputs, backend=backend)


@pytest.mark.parametrize("backend", EACH)
def test_the_report_says_what_the_candidate_ran_on(backend):
    report = compare(models.clipped, backend=backend, checks=["summary"])
    assert report.context["backend"]["candidate"] == backend
    assert set(report.context["backend"]["versions"]) == {"keras", backend}
    assert report.name == f"clipped-on-{backend}"


@pytest.mark.parametrize("backend", EACH)
def test_modules_are_those_that_this_process_would_find_now(backend, tmp_path, monkeypatch):
    for size in (2, 3):
        folder = tmp_path / str(size)
        folder.mkdir()
        (folder / "sized.py").write_text(
            "import keras\n\ndef build():\n"
            f"    return keras.Sequential([keras.Input((4,)), keras.layers.Dense({size})])\n"
        )
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            patch.delitem(sys.modules, "sized", raising=False)
            report = compare("sized:build", backend=backend, checks=["summary"])
            assert report.verdict is Verdict.EQUIVALENT, str(report)
            patch.delitem(sys.modules, "sized")
