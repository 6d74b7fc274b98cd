"""One batch decides where twins of one skeleton plainly differ; where they do not, everything is run."""

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv import Evidence, Verdict, compare
from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.checks import updates
from pytest_kerasequiv.checks.numeric import views
from pytest_kerasequiv.checks.numeric.glance import ONE_BATCH
from pytest_kerasequiv.checks.numeric.tensor_comparison import compare_tensor
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.tolerance import Precision
from pytest_kerasequiv.comparison import Comparison
from pytest_kerasequiv.running import running
from pytest_kerasequiv.running.running import Runner


def dense(*, slope=0.1, rate=0.2, epsilon=1e-3):
    inputs = keras.Input((6,))
    hidden = layers.LeakyReLU(negative_slope=slope)(layers.Dense(8)(inputs))
    hidden = layers.Dropout(rate)(layers.LayerNormalization(epsilon=epsilon)(hidden))
    return keras.Model(inputs, layers.Dense(2)(hidden))


@pytest.mark.parametrize(("check", "setting"), [("outputs", {"slope": 0.3}), ("gradients", {"rate": 0.3})])
def test_a_plain_difference_needs_one_batch_and_no_float64(check, setting):
    report = compare(dense, lambda: dense(**setting))
    assert report.verdict is Verdict.DIFFERENT
    figures = report[check].figures
    assert figures["probes"] == 1
    assert figures["tolerance"]["why"] == ONE_BATCH
    field = "negative_slope" if check == "outputs" else "rate"
    assert report.findings[0].field == field


def test_a_fine_difference_needs_one_batch_in_float64():
    report = compare(dense, lambda: dense(epsilon=1.0001e-3))
    assert report.verdict is Verdict.DIFFERENT
    assert report["outputs"].figures["probes"] == 1
    assert report["outputs"].figures["tolerance"]["origin"] == "derived"


def test_where_inference_is_proved_the_same_outputs_follow_from_the_program():
    report = compare(dense, lambda: dense(rate=0.3))
    assert report["outputs"].figures == {"follows": "program"}
    everything = compare(dense, lambda: dense(rate=0.3), checks=["outputs"])
    assert everything["outputs"].figures["probes"] > 1


def test_what_the_first_batch_does_not_reach_is_still_found():
    def clipped(bound):
        inputs = keras.Input((6,))
        hidden = layers.Dense(8)(inputs)
        return keras.Model(inputs, layers.Dense(2)(layers.ReLU(max_value=bound)(hidden)))

    report = compare(lambda: clipped(50.0), lambda: clipped(60.0))
    assert report.verdict is Verdict.DIFFERENT
    assert report["outputs"].figures["probes"] > 1


@pytest.fixture
def perturbed_runs(monkeypatch):
    """The models that were run under perturbed weights, one entry a time."""
    found = []
    original = Runner.perturbed
    monkeypatch.setattr(
        Runner, "perturbed", lambda self, *given: found.append(self.model) or original(self, *given)
    )
    return found


def scaled(*, rewritten, factor=3.0):
    inputs = keras.Input((6,))
    rounded = np.float32(1 / factor)
    scale = (lambda x: x * rounded) if rewritten else (lambda x: x / 3.0)
    return keras.Model(inputs, layers.Dense(3, activation="tanh")(layers.Lambda(scale)(inputs)))


def pointwise(*, convolution):
    inputs = keras.Input((7, 4))
    layer = layers.Conv1D(5, 1) if convolution else layers.Dense(5)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(layer(inputs))))


def test_what_agrees_without_a_perturbed_run_needs_none(perturbed_runs):
    compile_as = {"optimizer": "adam", "loss": "mse"}
    report = compare(
        lambda: pointwise(convolution=True), lambda: pointwise(convolution=False), compile=compile_as
    )
    assert report.verdict is Verdict.EQUIVALENT
    assert report.evidence is Evidence.MEASURED
    assert {report[name].figures["tolerance"]["origin"] for name in ("outputs", "gradients", "updates")} == {
        "derived"
    }
    assert perturbed_runs == []


@pytest.mark.parametrize(("factor", "verdict"), [(3.0, Verdict.EQUIVALENT), (3.001, Verdict.DIFFERENT)])
def test_what_does_not_is_run_perturbed_before_it_is_decided(perturbed_runs, factor, verdict):
    report = compare(
        lambda: scaled(rewritten=False), lambda: scaled(rewritten=True, factor=factor), checks=["outputs"]
    )
    assert report["outputs"].verdict is verdict
    assert len(perturbed_runs) >= 1


@pytest.mark.parametrize(("apart", "agrees", "cautiously"), [(1e-9, True, True), (5e-8, True, False)])
def test_without_a_perturbed_run_float64_must_agree_more_closely(apart, agrees, cautiously):
    exact = np.linspace(0.1, 1.0, 5)
    views = exact.astype(np.float32), exact.astype(np.float32), exact, exact + apart, None
    for cautious, expected in ((False, agrees), (True, cautiously)):
        assert compare_tensor("it", 0, views, "float32", Precision(cautious=cautious)).agrees is expected


def test_without_a_perturbed_run_what_rounding_does_not_explain_does_not_agree():
    exact = np.linspace(0.1, 1.0, 5)
    views = exact.astype(np.float32), exact.astype(np.float32) + np.float32(1e-6), exact, exact, None
    assert compare_tensor("it", 0, views, "float32", Precision(oracle=False)).agrees
    assert not compare_tensor("it", 0, views, "float32", Precision(oracle=False, cautious=True)).agrees


def test_narrow_dtypes_are_always_perturbed(perturbed_runs):
    def narrow(*, convolution):
        def build():
            policy = keras.dtype_policies.DTypePolicy("mixed_float16")
            inputs = keras.Input((7, 4))
            layer = layers.Conv1D(5, 1, dtype=policy) if convolution else layers.Dense(5, dtype=policy)
            return keras.Model(inputs, layer(inputs))

        return build

    compare(narrow(convolution=True), narrow(convolution=False), checks=["outputs"])
    assert perturbed_runs


def test_of_a_large_model_the_first_step_is_perturbed_before_all_are(monkeypatch):
    builders = lambda: pointwise(convolution=True), lambda: pointwise(convolution=False)
    pair = Pair(Twins(*builders, compile={"optimizer": "adam", "loss": "mse"}))
    between = pair.correspondence
    plan = next(updates.plan(pair.reference_twin, between))
    assert plan.plain is None
    assert [(one.perturbed, one.briefly) for one, _ in updates.glances(plan, between)] == [(False, False)]
    monkeypatch.setattr(running, "LARGE", 0)
    plan = next(updates.plan(pair.reference_twin, between))
    _, brief = (one for one, _ in updates.glances(plan, between))
    reference = updates.observe(pair.reference_twin, brief)
    candidate = updates.observe(pair.candidate_twin, updates.for_candidate(brief, reference))
    assert {phase: len(steps) for phase, steps in reference.steps.perturbed.items()} == {
        "sgd": 1,
        "compiled": 1,
    }
    assert {phase: len(steps) for phase, steps in reference.steps.computed.items()} == {
        "sgd": 3,
        "compiled": 5,
    }
    assert reference.steps.unperturbed
    assert updates.compare(reference, candidate, between).verdict is Verdict.EQUIVALENT
    whole = updates.observe(pair.reference_twin, plan)
    assert not whole.steps.unperturbed
    assert whole.steps.exact is reference.steps.exact


def test_a_float64_twin_is_built_once_and_holds_values_only_while_it_is_run(monkeypatch):
    built: list[keras.Model] = []
    held: list[list[int]] = []
    original = views.build_float64

    def noted(*args, **kw):
        held.append([v._value.read_value().shape.num_elements() for one in built for v in one.variables])
        built.append(original(*args, **kw))
        return built[-1]

    monkeypatch.setattr(views, "build_float64", noted)
    comparison = Comparison(Twins(dense, lambda: dense(epsilon=1.0001e-3)))
    assert comparison.check("outputs").verdict is Verdict.DIFFERENT
    assert comparison.check("gradients").verdict is Verdict.DIFFERENT
    assert len(built) == 2
    assert not any(held[1])
    assert not any(v._value.read_value().shape.num_elements() for one in built for v in one.variables)


def test_a_layer_of_the_builder_s_own_keeps_its_values():
    ours, theirs = layers.Dense(3, dtype="float64"), layers.Dense(3, dtype="float64")

    def build(layer, kind):
        inputs = keras.Input((4,))
        return keras.Model(inputs, kind(layer(inputs)))

    twins = Twins(
        lambda: build(ours, layers.Softmax(dtype="float64")), lambda: build(theirs, keras.ops.softmax)
    )
    Comparison(twins).check("outputs")
    assert [layer.get_weights()[0].shape for layer in (ours, theirs)] == [(4, 3), (4, 3)]
