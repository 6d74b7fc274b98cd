from __future__ import annotations

import pytest

from pytest_kerasequiv.reporting.session import SessionReport

TWO_PAIRS = """
from pytest_kerasequiv import parametrize_with_checks

PAIRS = [(Twins(script(%s), name="forecaster"), plan(epochs=3)), Twins(script({}), name="classifier")]

@parametrize_with_checks(PAIRS)
def test_twins(twins, check):
    check(twins)
"""


def test_one_test_per_pair_and_check_with_cheap_ones_first(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(test_it=TWO_PAIRS % "{}")
    lines = scripted.runpytest("--collect-only", "-q").stdout.lines
    names = [line.split("::")[1] for line in lines if "::" in line]
    cheap = ["summary", "graph", "program", "weights", "outputs", "gradients", "updates"]
    expected = [f"test_twins[{pair}-{check}]" for pair in ("forecaster", "classifier") for check in cheap]
    assert names == [*expected, "test_twins[forecaster-training]"]


def test_results_of_a_pair_are_gathered(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(test_it=TWO_PAIRS % "{}")
    result = scripted.runpytest("--kerasequiv")
    result.assert_outcomes(passed=13, xfailed=2)
    result.stdout.fnmatch_lines(
        [
            "EQUIVALENT (measured)     classifier *7 checks, *",
            "    EQUIVALENT:   summary graph weights outputs gradients updates",
            "    INCONCLUSIVE: program",
            "EQUIVALENT (statistical)  forecaster *8 checks, *",
            "    EQUIVALENT:   summary graph weights outputs gradients updates training",
        ]
    )


def test_training_is_skipped_without_the_flag(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(test_it=TWO_PAIRS % "{}")
    result = scripted.runpytest("-rs")
    result.assert_outcomes(passed=12, xfailed=2, skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED * needs --kerasequiv (repeated training)"])
    scripted.runpytest("-m", "kerasequiv").assert_outcomes(skipped=1, deselected=14)


def test_a_check_can_be_selected_and_fails_alone(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(test_it=TWO_PAIRS % "{'outputs': 'DIFFERENT'}")
    result = scripted.runpytest("-k", "forecaster and outputs")
    result.assert_outcomes(failed=1, deselected=14)
    result.stdout.fnmatch_lines(
        [
            "check = forecaster-outputs",
            "E *DIFFERENT (measured): forecaster*",
            "FAILED test_it.py::test_twins[[]forecaster-outputs[]]*",
        ]
    )
    assert "pair_checks.py" not in result.stdout.str()


@pytest.mark.parametrize("check", ["summary", "graph"])
def test_structure_informs_where_numbers_run_and_decides_where_they_do_not(
    scripted: pytest.Pytester, check: str
) -> None:
    scripted.makepyfile(test_it=TWO_PAIRS % f"{{{check!r}: 'DIFFERENT'}}")
    scripted.runpytest().assert_outcomes(passed=11, xfailed=3, skipped=1)
    scripted.runpytest("-k", check).assert_outcomes(passed=1, failed=1, deselected=13)


def test_only_training_left_and_not_run_leaves_structure_to_decide(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(test_it=TWO_PAIRS % "{'graph': 'DIFFERENT'}")
    scripted.runpytest("-k", "forecaster-graph or forecaster-training").assert_outcomes(
        failed=1, skipped=1, deselected=13
    )
    flagged = scripted.runpytest("--kerasequiv", "-k", "forecaster-graph or forecaster-training")
    flagged.assert_outcomes(xfailed=1, passed=1, deselected=13)


def test_numeric_checks_that_were_to_decide_but_did_not_run_shut_the_gate(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        test_it="import pytest" + TWO_PAIRS % "{'graph': 'DIFFERENT'}" + "    \n"
        "@pytest.fixture(autouse=True)\n"
        "def never(request):\n"
        "    if 'graph' not in request.node.name: pytest.skip('not today')\n"
    )
    result = scripted.runpytest("-k", "forecaster")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "differences that summary, graph or program found were left to numeric checks, but none*",
            "DIFFERENT*: forecaster*",
        ]
    )


def test_runxfail_shows_what_only_informs(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(test_it=TWO_PAIRS % "{'graph': 'DIFFERENT'}")
    scripted.runpytest("--runxfail", "-k", "forecaster and not program").assert_outcomes(
        passed=5, failed=1, skipped=1, deselected=8
    )


def test_models_are_looked_at_once_per_process(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        test_it=TWO_PAIRS % "{}"
        + """

def test_shared():
    assert len(CALLS) == 15
    assert len({id(pair) for _, _, pair in CALLS}) == 2
"""
    )
    scripted.runpytest("--kerasequiv").assert_outcomes(passed=14, xfailed=2)


def test_the_plan_reaches_the_training_check(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        test_it=TWO_PAIRS % "{}"
        + """

def test_plan():
    name, options, _ = CALLS[-1]
    training = options["training"]
    assert (name, training.epochs, training.seeds) == ("training", 3, 4)
"""
    )
    scripted.runpytest("--kerasequiv", "--kerasequiv-seeds=4").assert_outcomes(passed=14, xfailed=2)


def test_expected_failures_and_own_checks(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        from pytest_kerasequiv import parametrize_with_checks

        @parametrize_with_checks(
            [Twins(script({"outputs": "DIFFERENT"}), name="pair")],
            checks=["outputs", "summary"],
            expected_failures={"pair-outputs": "known: another padding"},
        )
        class TestTwins:
            def test_twins(self, twins, check):
                check(twins)
        """
    )
    result = scripted.runpytest("-rx", "-v")
    result.assert_outcomes(passed=1, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "*TestTwins::test_twins[[]pair-summary[]] PASSED*",
            "XFAIL*test_twins[[]pair-outputs[]] - known: another padding",
        ]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("[]", "names nothing to compare"),
        ("None", "pairs=None is no list; pass a list of Twins"),
        ("Twins(script({}))", "is no list; pass a list of Twins"),
        ("[list(range(1000))]", "pairs holds [0, 1, 2, 3, 4, 5, ...]; each must be Twins"),
        ("[3]", "pairs holds 3; each must be Twins"),
        ("[Twins(script({}), name='a'), Twins(script({}), name='a')]", "two pairs named 'a'"),
        ("[Twins(script({}), name='a')], checks=['output']", "which is no check"),
        ("[Twins(script({}), name='a')], checks=['training']", "training=None"),
        (
            "[Twins(script({}), name='a')], expected_failures={'a-plot': ''}",
            "'a-plot', which is no test; choose from a-summary",
        ),
    ],
)
def test_bad_pairs_are_refused_at_collection(scripted: pytest.Pytester, arguments: str, message: str) -> None:
    scripted.makepyfile(
        "from pytest_kerasequiv import parametrize_with_checks\n"
        f"@parametrize_with_checks({arguments})\n"
        "def test_twins(twins, check):\n    check(twins)\n"
    )
    result = scripted.runpytest()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert message in result.stdout.str()


def test_a_check_called_outside_its_test_is_refused(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        import pytest
        from pytest_kerasequiv.plugin.pair_checks import PairCheck

        def test_it():
            with pytest.raises(RuntimeError, match="only in the test"):
                PairCheck("pair", "outputs", "numeric")(None)
        """
    )
    scripted.runpytest().assert_outcomes(passed=1)


@pytest.mark.parametrize("options", [["-p", "randomly"], ["--import-mode=importlib"], ["-x"]])
def test_other_plugins_and_options(
    scripted: pytest.Pytester, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if options == ["-p", "randomly"]:
        pytest.importorskip("pytest_randomly")
        monkeypatch.delenv("PYTEST_ADDOPTS")
    scripted.makepyfile(test_it=TWO_PAIRS % "{}")
    scripted.runpytest("--kerasequiv", *options).assert_outcomes(passed=13, xfailed=2)


def test_other_parameters_of_a_test_make_pairs_of_their_own(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        test_it="""
        import pytest
        from pytest_kerasequiv import parametrize_with_checks

        @pytest.mark.parametrize("verdict", ["EQUIVALENT", "DIFFERENT"])
        @parametrize_with_checks([Twins(script({}), name="mlp")], checks=["outputs"])
        def test_twins(twins, check, verdict):
            check(Twins(script({"outputs": verdict}), name=f"mlp-{verdict}"))
        """
    )
    result = scripted.runpytest("-v")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines_random(["*mlp-outputs-EQUIVALENT*", "*mlp-outputs-DIFFERENT*"])
    result.stdout.no_fnmatch_line("*FAILED*mlp-outputs-EQUIVALENT*")


def test_a_check_that_is_not_called_is_no_pass(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        test_it="""
        import pytest
        from pytest_kerasequiv import parametrize_with_checks

        @parametrize_with_checks([Twins(script({}), name="mlp")], checks=["outputs", "updates"])
        def test_twins(twins, check):
            if check.check.name == "updates":
                pytest.skip("not today")
            check
        """
    )
    result = scripted.runpytest()
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(["*the check mlp-outputs was not called, so nothing was compared*"])


PROVED = {"program": "EQUIVALENT"}


def test_what_a_proof_implies_passes_at_once(scripted: pytest.Pytester) -> None:
    source = TWO_PAIRS % PROVED + "\n\ndef test_ran():\n    print('RAN', *[name for name, _, _ in CALLS])\n"
    scripted.makepyfile(test_it=source)
    result = scripted.runpytest("-s", "-k", "forecaster or ran", "--kerasequiv-report=out")
    result.assert_outcomes(passed=8, skipped=1, deselected=7)
    result.stdout.fnmatch_lines(["*RAN summary graph program weights"])
    text = (scripted.path / "out" / "report.html").read_text()
    assert text.count("follows from program") == 3
    everything = scripted.runpytest("-s", "-k", "forecaster or ran", "--kerasequiv-all")
    everything.stdout.fnmatch_lines(["*RAN summary graph program weights outputs gradients updates"])


def test_a_numeric_check_alone_looks_for_the_proof_itself(scripted: pytest.Pytester) -> None:
    source = TWO_PAIRS % PROVED + "\n\ndef test_ran():\n    print('RAN', *[name for name, _, _ in CALLS])\n"
    scripted.makepyfile(test_it=source)
    result = scripted.runpytest("-s", "-k", "forecaster-outputs or ran", "--kerasequiv")
    result.assert_outcomes(passed=2, deselected=14)
    result.stdout.fnmatch_lines(["*RAN program weights", "EQUIVALENT (proved)*forecaster *1 check, *"])


def test_what_a_difference_leaves_open_is_skipped_and_told_everywhere(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(test_it=TWO_PAIRS % "{'outputs': 'DIFFERENT'}")
    options = ["-k", "forecaster", "--kerasequiv", "--kerasequiv-report=out", "--junitxml=junit.xml", "-rs"]
    result = scripted.runpytest(*options)
    result.assert_outcomes(passed=3, failed=1, xfailed=1, skipped=3, deselected=7)
    result.stdout.fnmatch_lines(
        [
            "    not run:      gradients updates training (outputs already differ)",
            "SKIPPED *not run: outputs already differ",
        ]
    )
    told = "not run: outputs already differ"
    assert (scripted.path / "junit.xml").read_text().count(f'value="{told}"') == 3
    assert (scripted.path / "out" / "report.html").read_text().count(told) == 3
    summary = (scripted.path / "out" / "summary.md").read_text()
    assert "- Not run: gradients, updates, training (outputs already differ)" in summary
    read = SessionReport.from_json((scripted.path / "out" / "report.json").read_text())
    assert list(read.pairs[0].not_run) == ["gradients", "updates", "training"]
    everything = scripted.runpytest("-k", "forecaster", "--kerasequiv", "--kerasequiv-all")
    everything.assert_outcomes(passed=6, failed=1, xfailed=1, deselected=7)


@pytest.mark.parametrize("asked", ["checks='all'", "checks=['program', 'weights', 'outputs', 'gradients']"])
def test_checks_that_are_named_run_in_full(scripted: pytest.Pytester, asked: str) -> None:
    scripted.makepyfile(
        f"""
        from pytest_kerasequiv import parametrize_with_checks

        answers = {{"program": "EQUIVALENT", "outputs": "DIFFERENT"}}
        @parametrize_with_checks([Twins(script(answers), name="pair")], {asked})
        def test_twins(twins, check):
            check(twins)

        def test_ran():
            assert [name for name, _, _ in CALLS][-2:] in (["gradients", "updates"], ["outputs", "gradients"])
        """
    )
    result = scripted.runpytest()
    assert result.parseoutcomes()["failed"] == 1
    assert "skipped" not in result.parseoutcomes()


def test_pairs_share_what_is_accepted(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        from pytest_kerasequiv import parametrize_with_checks

        answers = {"graph": "DIFFERENT", "outputs": "DIFFERENT"}
        @parametrize_with_checks([Twins(script(answers), name="pair")], accept=["dropout.rate"])
        def test_twins(twins, check):
            check(twins)
        """
    )
    scripted.runpytest().assert_outcomes(passed=6, xfailed=1)
