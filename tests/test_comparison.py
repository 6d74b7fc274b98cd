"""The ladder's runner: which checks run, what a crash of one does, what the report says."""

from __future__ import annotations

import json
import textwrap
import time
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import tensorflow as tf

from pytest_kerasequiv import InputError, Report, Training, Twins, Verdict, assert_equivalent, compare
from pytest_kerasequiv.checks.ladder import LADDER
from pytest_kerasequiv.checks.pair import Pair
from pytest_kerasequiv.checks.registry import Check
from pytest_kerasequiv.comparison import Comparison, asked_checks
from pytest_kerasequiv.program import match_programs
from pytest_kerasequiv.reporting import markdown
from pytest_kerasequiv.reporting.session import of_reports
from pytest_kerasequiv.training.executors.pools import LocalProcesses
from pytest_kerasequiv.verdict import CheckResult, Evidence, Finding, Kind


def sequential():
    import keras

    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "relu"), keras.layers.Dense(2)])


def functional(units: int = 3):
    import keras

    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(2)(keras.layers.Dense(units, "relu")(x)))


def test_by_default_the_seven_cheap_checks_run() -> None:
    assert asked_checks(None, None) == asked_checks("all", None) == LADDER.names[:-1]


def test_checks_run_in_the_order_of_the_ladder() -> None:
    assert asked_checks(["outputs", "summary"], None) == ("summary", "outputs")


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        ("outputs", r"checks='outputs' is one string"),
        (["output"], r"names 'output', which is no check; choose from summary, graph"),
        ([], r"checks=\[\] asks for nothing"),
        (["training"], r"training=None; pass training=Training"),
        (3, r"checks=3 is no list of names; choose from summary"),
        (True, r"checks=True is no list of names"),
    ],
)
def test_checks_that_cannot_be_run_are_refused(checks, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(sequential, functional, checks=checks)


@pytest.mark.parametrize("checks", [None, ["summary"], ["training"]])
@pytest.mark.parametrize("training", [5, True, {"seeds": 3}, (np.zeros(3), np.zeros(3)), Training])
def test_what_is_no_training_plan_is_refused(checks, training) -> None:
    with pytest.raises(InputError, match=r"training=.* is no plan; pass Training\(train, test"):
        compare(sequential, functional, checks=checks, training=training)


def test_the_same_model_twice_is_proved() -> None:
    report = assert_equivalent(sequential, functional)
    assert tuple(report.checks) == LADDER.names[:-1]
    assert report.verdict is Verdict.EQUIVALENT
    assert report.evidence is not None
    assert report.evidence.value == "PROVED"
    assert report.context["versions"]["keras"]
    assert {one.name for one in report.checks.values() if one.figures.get("follows") == "program"} == {
        "outputs",
        "gradients",
        "updates",
    }
    assert "  gradients  EQUIVALENT    proved       follows from program" in str(report).splitlines()


def test_a_difference_fails_with_the_report_as_message() -> None:
    with pytest.raises(AssertionError) as caught:
        assert_equivalent(sequential, lambda: functional(5), checks=["summary", "graph", "weights"])
    assert "DIFFERENT" in str(caught.value)
    assert "units" in str(caught.value)


def test_twins_take_no_second_candidate() -> None:
    with pytest.raises(InputError, match="reference is a Twins already, so candidate, name"):
        compare(Twins(sequential, functional), functional, name="x")


def test_a_check_that_crashes_is_inconclusive_and_keeps_the_others() -> None:
    def crash(*_):
        raise RuntimeError("out of luck")

    comparison = Comparison(Twins(sequential, functional))
    crashing = Check("outputs", Kind.NUMERIC, observe=crash, compare=crash)
    with LADDER.replaced([LADDER["summary"], crashing]):
        comparison.check("summary")
        result = comparison.check("outputs")
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "RuntimeError: out of luck" in result.findings[0].message
    report = comparison.report()
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report["summary"].verdict is Verdict.EQUIVALENT


def hanging():
    while True:
        time.sleep(0.01)


def test_a_builder_that_hangs_is_inconclusive_and_names_its_line() -> None:
    comparison = Comparison(Twins(sequential, hanging), timeout=2)
    result = comparison.check("summary")
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "longer than its timeout of 2 s; at the end it was in hanging (" in result.findings[0].message
    begun = time.monotonic()
    assert comparison.advance("graph").findings[0].message == result.findings[0].message
    assert comparison.report().verdict is Verdict.INCONCLUSIVE
    with pytest.raises(TimeoutError, match="in hanging"):
        comparison.model("candidate")
    assert time.monotonic() - begun < 1


def test_a_training_that_hangs_is_inconclusive_and_its_processes_end() -> None:
    comparison = Comparison(Twins(sequential, functional), timeout=10)
    executor = LocalProcesses(1)
    try:
        plan = Training(fit=lambda model, seed: time.sleep(1000), seeds=2)  # type: ignore[return-value]
        result = comparison.check("training", training=plan, executor=executor)
        workers = list(executor._pool._processes.values())
    finally:
        executor.shutdown()
    assert "longer than its timeout" in result.findings[0].message
    deadline = time.monotonic() + 30
    while any(worker.is_alive() for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(worker.is_alive() for worker in workers)


def test_a_limit_of_time_is_seconds() -> None:
    with pytest.raises(InputError, match="timeout=0 is no limit of time; give seconds"):
        Comparison(Twins(sequential, functional), timeout=0)


def test_bad_input_is_not_swallowed() -> None:
    with pytest.raises(InputError, match="inputs"):
        compare(sequential, functional, inputs=np.full((2, 4), np.nan, "float32"), checks=["outputs"])


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("output", {}, r"names 'output', which is no check; choose from summary, graph"),
        (
            "outputs",
            {"rtoll": 1},
            r"option rtoll= is unknown to the check 'outputs'; it takes inputs, rtol",
        ),
        ("summary", {"steps": 1}, r"option steps= is unknown to the check 'summary'; it takes no options"),
        ("training", {}, r"pass training=Training"),
    ],
)
def test_a_misspelt_request_is_no_check_that_could_not_run(name, options, message: str) -> None:
    comparison = Comparison(Twins(sequential, functional))
    with pytest.raises(InputError, match=message):
        comparison.check(name, **options)
    assert comparison.results == {}


def parameters_differ(reference: int, candidate: int, _) -> CheckResult:
    if reference == candidate:
        return CheckResult("size", Verdict.EQUIVALENT, Evidence.MEASURED)
    message = f"{reference} parameters in the reference, {candidate} in the candidate"
    found = Finding("size", None, None, "parameters", reference, candidate, message)
    return CheckResult("size", Verdict.DIFFERENT, Evidence.MEASURED, (found,))


SIZE = Check(
    "size",
    Kind.NUMERIC,
    observe=lambda twin, _: twin.model.count_params(),
    compare=parameters_differ,
    next_step="count the units.",
)


def test_one_object_adds_a_check_from_outside() -> None:
    with LADDER.replaced(list(LADDER)):
        LADDER.add(SIZE)
        assert LADDER.names[-3:] == ("updates", "size", "training")
        report = compare(sequential, lambda: functional(5), checks=["summary", "size"])
        with pytest.raises(InputError, match="there is a check named 'size' already"):
            LADDER.add(SIZE)
    assert "size" not in LADDER
    assert report.verdict is Verdict.DIFFERENT
    text = str(report)
    assert "size: 23 parameters in the reference, 37 in the candidate" in text
    assert "Next: count the units." in text
    assert ">size<" in report._repr_html_()
    read = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert read["size"].kind is Kind.NUMERIC
    assert str(read) == text


def test_the_check_in_contributing_can_be_added() -> None:
    page = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = page.partition("**Add a check.**")[2].partition("    def observe")[2].partition("\n\n`Check(")[0]
    source = textwrap.dedent("    def observe" + block)
    with LADDER.replaced(list(LADDER)):
        exec(source, {**globals(), "Verdict": Verdict})
        report = compare(sequential, sequential, checks=["depth"])
    assert report["depth"].verdict is Verdict.EQUIVALENT


def test_further_plans_are_observed_only_while_the_result_leaves_something_open() -> None:
    @dataclass(frozen=True)
    class Sizes:
        layers: int | None = None
        parameters: int | None = None

    def plan(reference, between=None, *, most: int = 2):
        yield from ("layers", "parameters")[:most]

    def observe(twin, on):
        seen.append((twin.role, on))
        counts = {"layers": len(twin.model.layers), "parameters": twin.model.count_params()}
        return Sizes(**{on: counts[on]})

    def compare_sizes(reference, candidate, between, *, slack: int = 0):
        same = reference.layers == candidate.layers
        if reference.parameters is not None:
            same = same and abs(reference.parameters - candidate.parameters) <= slack
        return CheckResult("sizes", Verdict.EQUIVALENT if same else Verdict.DIFFERENT, Evidence.MEASURED)

    open_ended = Check("sizes", Kind.NUMERIC, observe, compare_sizes, plan=plan)
    check = replace(open_ended, further=lambda result, _: result.verdict is Verdict.EQUIVALENT)
    for candidate, options, verdict, plans in (
        (functional, {}, Verdict.EQUIVALENT, ["layers", "parameters"]),
        (lambda: functional(5), {}, Verdict.DIFFERENT, ["layers", "parameters"]),
        (lambda: functional(5), {"slack": 100}, Verdict.EQUIVALENT, ["layers", "parameters"]),
        (lambda: functional(5), {"most": 1}, Verdict.EQUIVALENT, ["layers"]),
    ):
        seen: list[tuple[str, str]] = []
        assert check(Pair(Twins(functional, candidate)), **options).verdict is verdict
        assert seen == [(role, on) for on in plans for role in ("reference", "candidate")]
    deeper = Twins(functional, sequential)
    seen = []
    assert check(Pair(deeper)).verdict is Verdict.DIFFERENT
    assert seen == [("reference", "layers"), ("candidate", "layers")]
    check.refuse_unknown(["most", "slack"])
    with pytest.raises(InputError, match="it takes most, slack"):
        check.refuse_unknown(["least"])


def dropped(rate: float):
    import keras

    def build():
        layers = [keras.Input((4,)), keras.layers.Dense(3), keras.layers.Dropout(rate, name="drop")]
        return keras.Sequential([*layers, keras.layers.Dense(2)])

    return build


def test_asked_for_by_name_or_all_a_check_runs_in_full() -> None:
    for checks in ("all", ["program", "weights", "outputs"]):
        report = compare(sequential, functional, checks=checks)
        assert report["outputs"].figures["probes"]
        assert report.evidence is not None
        assert report.evidence.value == "PROVED"


def test_what_a_difference_leaves_open_is_not_run() -> None:
    report = compare(dropped(0.2), dropped(0.5), name="pair")
    assert report.verdict is Verdict.DIFFERENT
    assert list(report.checks)[-2:] == ["outputs", "gradients"]
    assert report.not_run == {"updates": "gradients already differ"}
    assert "  updates    not run: gradients already differ" in str(report).splitlines()
    assert "not run: gradients already differ" in report._repr_html_()
    with pytest.raises(KeyError, match="'updates' was not run: gradients already differ"):
        report["updates"]
    read = Report.from_dict(json.loads(json.dumps(report.to_dict())))
    assert str(read) == str(report)
    assert "- Not run: updates (gradients already differ)" in markdown.render(of_reports([report]))
    everything = compare(dropped(0.2), dropped(0.5), checks="all")
    assert everything.not_run == {}
    assert everything["updates"].verdict is Verdict.DIFFERENT


def eager(model_limit: float):
    """A model that runs eagerly alone: its call() takes the numbers of a tensor."""
    import keras
    import tensorflow as tf

    class Limited(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(4)
            self.limit = model_limit

        def build(self, shape) -> None:
            self.dense.build(shape)
            super().build(shape)

        def call(self, inputs, training=False):
            return tf.convert_to_tensor(np.minimum(self.dense(inputs).numpy(), self.limit))

        def compute_output_spec(self, inputs, training=False):
            return keras.KerasTensor((inputs.shape[0], 4))

    def build():
        model = Limited()
        model.build((None, 3))
        return model

    return build


def test_nothing_follows_from_programs_that_could_not_be_traced() -> None:
    report = compare(eager(500.0), eager(1e9), input_shape=(3,))
    assert report.verdict is not Verdict.EQUIVALENT
    assert not any("follows" in one.figures for one in report.checks.values())
    assert compare(eager(500.0), eager(0.0), input_shape=(3,))["outputs"].verdict is Verdict.DIFFERENT
    told = [one.message for one in report["outputs"].findings if one.field == "plain call"]
    assert told
    assert all("could not be run on either side" in message for message in told)


def test_settings_that_no_program_tells_are_looked_at_behind_a_proof() -> None:
    import keras

    def compiled(rate: float):
        def build():
            model = sequential()
            model.compile(optimizer=keras.optimizers.SGD(rate), loss="mse")
            return model

        return build

    report = compare(compiled(0.1), compiled(0.2))
    assert report["program"].verdict is Verdict.EQUIVALENT
    assert report["gradients"].figures == {"follows": "program"}
    assert report["updates"].verdict is Verdict.DIFFERENT
    assert report.verdict is Verdict.DIFFERENT


def test_a_proof_that_numbers_contradict_is_inconclusive(monkeypatch) -> None:
    def blind(reference, candidate):
        return match_programs(reference, reference)

    monkeypatch.setattr("pytest_kerasequiv.checks.pair.match_programs", blind)
    report = compare(dropped(0.2), dropped(0.5))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.evidence is None
    lines = str(report).splitlines()
    assert "the programs are proved to be the same, but on one batch outputs in training differ" in lines[1]
    assert "report it" in lines[2]
    assert compare(dropped(0.2), dropped(0.2)).verdict is Verdict.EQUIVALENT


def test_what_is_accepted_becomes_a_note() -> None:
    report = compare(dropped(0.2), dropped(0.5), checks=["summary", "graph"], accept=["drop.rate"])
    assert report.verdict is Verdict.EQUIVALENT
    assert report["graph"].verdict is Verdict.EQUIVALENT
    assert [(f.field, f.severity) for f in report.findings] == [("rate", "note")]
    assert report.findings[0].message.startswith("accepted: ")
    assert report.context["accept"] == ["drop.rate"]
    kept = compare(dropped(0.2), dropped(0.5), checks=["graph"])
    assert kept.verdict is Verdict.DIFFERENT


def test_accepting_goes_on_to_what_else_differs() -> None:
    report = compare(dropped(0.2), dropped(0.5), accept=["drop.*"])
    assert report.verdict is Verdict.DIFFERENT, "the numbers that follow from the rate were not accepted"


@pytest.mark.parametrize(
    ("accept", "message"),
    [
        (["clip.*"], r"accept holds 'clip\.\*', which meets nothing: found were drop\.rate; take it out"),
        ("drop.*", r"accept='drop\.\*' is one string; pass a list"),
        ([3], r"accept holds 3; each entry must be a pattern"),
    ],
)
def test_an_entry_of_accept_that_cannot_be_meant_is_refused(accept, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compare(dropped(0.2), dropped(0.5), checks=["graph"], accept=accept)


def test_several_threads_get_right_answers_and_leave_keras_as_it_was() -> None:
    import keras

    before = keras.config.floatx(), keras.random.uniform, keras.random.normal
    answers: dict[int, Verdict] = {}

    def work(number: int) -> None:
        answers[number] = compare(dropped(0.2), dropped(0.2 + 0.1 * (number % 2)), checks="all").verdict

    threads = [Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {0: Verdict.EQUIVALENT, 1: Verdict.DIFFERENT, 2: Verdict.EQUIVALENT}
    assert (keras.config.floatx(), keras.random.uniform, keras.random.normal) == before


def test_where_nothing_is_run_nothing_is_compared() -> None:
    import tensorflow as tf

    @tf.function
    def traced():
        compare(sequential, functional)

    with pytest.raises(InputError, match=r"inside a tf\.function or a tf\.Graph.*call it outside"):
        traced()
    with tf.Graph().as_default(), pytest.raises(InputError, match=r"inside a tf\.function or a tf\.Graph"):
        compare(sequential, functional)
    refused = pytest.raises(InputError, match=r"inside the scope of a tf\.distribute strategy")
    with tf.distribute.OneDeviceStrategy("/cpu:0").scope(), refused:
        compare(sequential, functional)


def test_versions_are_those_of_the_modules_whatever_package_brought_them(monkeypatch) -> None:
    known = metadata.version

    def hidden(name: str) -> str:
        if name != "pytest-kerasequiv":
            raise metadata.PackageNotFoundError(name)
        return known(name)

    monkeypatch.setattr(metadata, "version", hidden)
    versions = compare(sequential, checks=["summary"]).context["versions"]
    assert versions["tensorflow"] == tf.__version__
    assert versions.keys() == {"python", "pytest-kerasequiv", "keras", "tensorflow", "numpy", "scipy"}
