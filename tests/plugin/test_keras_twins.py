from __future__ import annotations

import pytest

from pytest_kerasequiv.checks.ladder import LADDER

CHEAP = ("summary", "graph", "program", "weights", "outputs", "gradients", "updates")


@pytest.mark.parametrize("check", CHEAP)
@pytest.mark.parametrize("answer", ["EQUIVALENT", "DIFFERENT", "INCONCLUSIVE"])
def test_each_assert_is_strict_about_its_check(scripted: pytest.Pytester, check: str, answer: str) -> None:
    scripted.makepyfile(
        f"def test_it(keras_twins):\n    keras_twins(script({{{check!r}: {answer!r}}})).assert_same_{check}()"
    )
    result = scripted.runpytest()
    result.assert_outcomes(passed=answer == "EQUIVALENT", failed=answer != "EQUIVALENT")


def test_inconclusive_warns_where_told(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        "def test_it(keras_twins):\n"
        "    keras_twins(script({'outputs': 'INCONCLUSIVE'})).assert_same_outputs()"
    )
    result = scripted.runpytest("--kerasequiv-inconclusive=warn", "-W", "default")
    result.assert_outcomes(passed=1, warnings=1)
    result.stdout.fnmatch_lines(
        ["*test_inconclusive_warns_where_told.py:3: InconclusiveWarning: INCONCLUSIVE: test_it*"]
    )


def test_a_check_that_could_not_run_fails_even_where_told_to_warn(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        "def test_it(keras_twins):\n"
        "    keras_twins(script({'outputs': RuntimeError('boom')})).assert_same_outputs()"
    )
    result = scripted.runpytest("--kerasequiv-inconclusive=warn")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*could not run: RuntimeError: boom*"])


def test_a_failure_shows_the_culprit_and_nothing_of_the_plugin(
    scripted: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CI", raising=False)  # there pytest repeats the message in its summary, uncut
    scripted.makepyfile(
        """
        def test_it(keras_twins):
            twins = keras_twins(script({"gradients": "DIFFERENT", "graph": "DIFFERENT"}))
            twins.assert_equivalent()
        """
    )
    result = scripted.runpytest()
    text = result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            ">       twins.assert_equivalent()",
            "E       AssertionError: DIFFERENT (measured): test_it*",
            "E         graph: layer reference/dropout: rate is 0.2 in the reference, 0.3 in the candidate*",
            "E           other findings of gradients follow from it: see report.findings",
        ]
    )
    assert "twins_under_test.py" not in text
    assert len(text.splitlines()) < 45


def test_training_skips_without_the_flag_and_runs_with_it(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        import pytest

        def test_call(keras_twins):
            keras_twins(script({})).assert_same_training(plan())

        @pytest.mark.kerasequiv
        def test_marked(keras_twins):
            raise AssertionError("not without the flag")
        """
    )
    result = scripted.runpytest("-rs")
    result.assert_outcomes(skipped=2)
    assert "deselected" not in result.stdout.str()
    reasons = [line for line in result.stdout.lines if line.startswith("SKIPPED")]
    assert len(reasons) == 2
    assert all("needs --kerasequiv (repeated training)" in line for line in reasons)
    scripted.runpytest("--kerasequiv").assert_outcomes(passed=1, failed=1)


def test_a_skip_at_the_call_points_to_the_test(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        test_place="def test_call(keras_twins):\n    keras_twins(script({})).assert_same_training(plan())"
    )
    scripted.runpytest("-rs").stdout.fnmatch_lines(["SKIPPED * test_place.py:3: needs --kerasequiv*"])


@pytest.mark.parametrize(
    ("script", "outcome"),
    [({}, "skipped"), ({"gradients": "DIFFERENT"}, "failed"), ({"gradients": "INCONCLUSIVE"}, "skipped")],
)
def test_assert_equivalent_with_a_plan_but_no_flag(
    scripted: pytest.Pytester, script: dict[str, str], outcome: str
) -> None:
    scripted.makepyfile(
        f"def test_it(keras_twins):\n    keras_twins(script({script})).assert_equivalent(plan())"
    )
    scripted.runpytest().assert_outcomes(**{outcome: 1})


@pytest.mark.parametrize("answer", ["EQUIVALENT", "DIFFERENT", "INCONCLUSIVE"])
def test_assert_equivalent_trains_with_the_flag(scripted: pytest.Pytester, answer: str) -> None:
    scripted.makepyfile(
        f"def test_it(keras_twins):\n"
        f"    keras_twins(script({{'training': {answer!r}}})).assert_equivalent(plan())"
    )
    result = scripted.runpytest("--kerasequiv")
    result.assert_outcomes(passed=answer == "EQUIVALENT", failed=answer != "EQUIVALENT")


def test_structural_differences_are_notes_where_numbers_agree(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        def test_it(keras_twins):
            twins = keras_twins(script({"graph": "DIFFERENT"}))
            twins.assert_equivalent()
            assert [f.severity for f in twins.report.findings] == ["note"]
        """
    )
    scripted.runpytest().assert_outcomes(passed=1)


def test_options_reach_checks_and_comparison(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """

        def test_it(keras_twins, kerasequiv_executor):
            assert kerasequiv_executor is None
            twins = keras_twins(script({}), rtol=1e-3, seed=4)
            twins.assert_same_outputs(inputs=[1, 2], atol=1e-5)
            twins.assert_same_updates(steps=3)
            twins.assert_same_training(plan(seeds=6))
            (_, outputs, pair), (_, updates, _), (_, training, _) = CALLS
            assert (pair.rtol, pair.seed) == (1e-3, 4)
            assert outputs == {"inputs": [1, 2], "atol": 1e-5}
            assert updates == {"steps": 3}
            assert (training["training"].seeds, training["training"].alpha) == (6, 0.01)
        """
    )
    scripted.runpytest("--kerasequiv", "--kerasequiv-alpha=0.01", "--kerasequiv-seeds=9").assert_outcomes(
        passed=1
    )


def test_an_overridden_executor_is_only_made_when_training(scripted: pytest.Pytester) -> None:
    scripted.makeconftest(
        """
        import pytest, scripted_checks

        @pytest.fixture(scope="session")
        def kerasequiv_executor():
            print("EXECUTOR MADE")
            return "an executor"
        """
    )
    scripted.makepyfile(
        """

        def test_it(keras_twins):
            twins = keras_twins(script({}))
            twins.assert_same_summary()
            twins.assert_same_training(plan())
            assert CALLS[-1][1]["executor"] == "an executor"
        """
    )
    assert "EXECUTOR MADE" not in scripted.runpytest("-s").stdout.str()
    result = scripted.runpytest("-s", "--kerasequiv")
    result.assert_outcomes(passed=1)
    assert "EXECUTOR MADE" in result.stdout.str()


def test_classes_parameters_and_usefixtures(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        import pytest

        class TestPair:
            @pytest.fixture(autouse=True)
            def pair(self, keras_twins):
                self.twins = keras_twins(script({}))

            def test_outputs(self):
                self.twins.assert_same_outputs()

            @pytest.mark.parametrize("check", ["summary", "graph"])
            def test_check(self, check):
                assert self.twins.check(check).verdict == "EQUIVALENT"

        @pytest.mark.usefixtures("keras_twins")
        def test_with_usefixtures(request):
            request.getfixturevalue("keras_twins")(script({})).assert_same_weights()
        """
    )
    result = scripted.runpytest("--kerasequiv")
    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(
        ["EQUIVALENT*test_check?summary?*1 check,*", "EQUIVALENT*test_with_usefixtures*"]
    )


def test_bad_input_is_one_paragraph_without_plugin_frames(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        from pytest_kerasequiv import InputError

        def test_it(keras_twins):
            keras_twins(script({"outputs": InputError("inputs=3: pass an array")})).assert_same_outputs()
        """
    )
    result = scripted.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E*InputError: inputs=3: pass an array"])
    assert "twins_under_test.py" not in result.stdout.str()
    assert "comparison.py" not in result.stdout.str()


def test_what_is_meant_is_accepted_and_an_idle_entry_refused(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        def test_good(keras_twins):
            twins = keras_twins(script({"outputs": "DIFFERENT"})).accept("dropout.*")
            twins.assert_same_outputs()
            twins.assert_equivalent()
            assert twins.report.findings[0].severity == "note"

        def test_option(keras_twins):
            keras_twins(script({"graph": "DIFFERENT"}), accept=["dropout.rate"]).assert_same_graph()

        def test_idle(keras_twins):
            keras_twins(script({})).accept("clip.*").assert_equivalent()
        """
    )
    result = scripted.runpytest()
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(
        ["*InputError: accept holds 'clip.[*]', which meets nothing: no difference *"]
    )


def test_assert_equivalent_stops_where_the_answer_is_known(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        import pytest

        def test_proved(keras_twins):
            twins = keras_twins(script({"program": "EQUIVALENT"}))
            twins.assert_equivalent()
            assert [name for name, _, _ in CALLS] == ["summary", "graph", "program", "weights"]
            assert twins.report.evidence == "PROVED"
            twins.assert_same_outputs()
            assert CALLS[-1][0] == "outputs"

        def test_different(keras_twins):
            CALLS.clear()
            twins = keras_twins(script({"outputs": "DIFFERENT"}))
            with pytest.raises(AssertionError, match="gradients  not run: outputs already differ"):
                twins.assert_equivalent(plan())
            assert CALLS[-1][0] == "outputs"
            assert list(twins.report.not_run) == ["gradients", "updates", "training"]
        """
    )
    scripted.runpytest("--kerasequiv").assert_outcomes(passed=2)


def test_every_check_of_the_ladder_has_its_assertion() -> None:
    from pytest_kerasequiv.plugin.twins_under_test import TwinsUnderTest

    assert all(hasattr(TwinsUnderTest, f"assert_same_{check.name}") for check in LADDER)


def test_what_stays_of_a_finished_test_is_its_report(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        import gc, weakref
        import keras
        import pytest
        from pytest_kerasequiv import parametrize_with_checks

        LIVE, REPORTS = weakref.WeakSet(), []

        @pytest.fixture(scope="module")
        def report():
            return compare(script({}), checks=["outputs"])

        @pytest.mark.parametrize("number", range(4))
        def test_many(keras_twins, number, report):
            twins = keras_twins(script({"program": "EQUIVALENT"}))
            twins.assert_equivalent()
            LIVE.update([twins.reference, twins.candidate])
            REPORTS.append(compare(script({"program": "EQUIVALENT"})))
            LIVE.update([CALLS[-1][2].reference, CALLS[-1][2].candidate])
            CALLS.clear()
            gc.collect()
            assert len(LIVE) == 4

        def test_none_is_left(report):
            gc.collect()
            assert len(LIVE) == 0
        """
    )
    result = scripted.runpytest("--kerasequiv")
    result.assert_outcomes(passed=5)
    assert result.stdout.str().count("EQUIVALENT (proved)") == 8
    result.stdout.fnmatch_lines(["EQUIVALENT (measured)*1 check,*"])


def test_weights_can_be_copied_in_a_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import keras

        def model():
            return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])

        def test_it(keras_twins):
            twins = keras_twins(model, model)
            twins.reference.set_weights([weight + 1 for weight in twins.reference.get_weights()])
            assert len(twins.copy_weights()) == 2
            ours, theirs = (model.get_weights() for model in (twins.reference, twins.candidate))
            assert all((one == other).all() for one, other in zip(ours, theirs, strict=True))
        """
    )
    pytester.runpytest("-p", "no:cacheprovider").assert_outcomes(passed=1)


@pytest.mark.parametrize("given", ["recording='none'", "rtol=-1"])
def test_bad_input_to_the_factory_shows_no_plugin_frames(pytester: pytest.Pytester, given: str) -> None:
    pytester.makepyfile(f"def test_it(keras_twins):\n    keras_twins(list, {given})")
    result = pytester.runpytest("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    assert "InputError" in result.stdout.str()
    assert "pytest_kerasequiv/" not in result.stdout.str()
