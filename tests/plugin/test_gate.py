from __future__ import annotations

import os
import pathlib
import time
import xml.etree.ElementTree as ET

import pytest

NOTHING = "def test_it(): pass"
ONE = "def test_it(keras_twins):\n    keras_twins(script({%s})).assert_same_outputs()"
PLAIN = """
def test_it():
    from pytest_kerasequiv import assert_equivalent
    assert_equivalent(script({'outputs': '%s'}), checks=['outputs'])
"""
BROKEN = "def test_it(keras_twins):\n    keras_twins(script({'outputs': OSError('gone')})).check('outputs')"
MARKED = "import pytest\n@pytest.mark.kerasequiv\ndef test_it(): pass"


def test_without_the_flag_the_gate_is_open(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(NOTHING)
    result = scripted.runpytest()
    assert result.ret == pytest.ExitCode.OK
    assert "equivalence" not in result.stdout.str()


@pytest.mark.parametrize("source", [NOTHING, BROKEN, MARKED], ids=["no-check", "broken-check", "marker-only"])
def test_nothing_compared_fails_the_session(scripted: pytest.Pytester, source: str) -> None:
    scripted.makepyfile(source)
    result = scripted.runpytest("--kerasequiv", "--junitxml=junit.xml")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*nothing was compared, so nothing was shown.", "FAILED kerasequiv-gate*", "*1 failed, 1 passed in*"]
    )
    suite = ET.parse(scripted.path / "junit.xml").getroot()[0]
    assert suite.get("failures") == "1"


@pytest.mark.parametrize(("answer", "outcome"), [("EQUIVALENT", "passed"), ("DIFFERENT", "failed")])
def test_plain_comparisons_count(scripted: pytest.Pytester, answer: str, outcome: str) -> None:
    scripted.makepyfile(PLAIN % answer)
    result = scripted.runpytest("--kerasequiv")
    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines([f"{answer} (measured)*1 check*"])
    result.stdout.no_fnmatch_line("*kerasequiv-gate*")


IN_A_THREAD = """
import threading

def test_it():
    told = []
    thread = threading.Thread(target=lambda: told.append(compare(script({'outputs': '%s'}), name="there")))
    thread.start()
    thread.join()
    assert told[0].verdict == "EQUIVALENT"
"""


@pytest.mark.parametrize(("answer", "outcome"), [("EQUIVALENT", "passed"), ("DIFFERENT", "failed")])
def test_comparisons_in_threads_of_a_test_count(scripted: pytest.Pytester, answer: str, outcome: str) -> None:
    scripted.makepyfile(IN_A_THREAD % answer)
    result = scripted.runpytest("--kerasequiv")
    result.assert_outcomes(**{outcome: 1})
    result.stdout.fnmatch_lines([f"{answer} (measured)*there *"])
    result.stdout.no_fnmatch_line("*kerasequiv-gate*")


HANGS = """
import time
import pytest
from pytest_kerasequiv import parametrize_with_checks

def hangs():
    time.sleep(1000)

def test_fixture(keras_twins):
    keras_twins(hangs, script({}), name="fixture").assert_equivalent()

def test_model(keras_twins):
    keras_twins(hangs, script({})).reference

def test_own_limit(keras_twins):
    keras_twins(hangs, script({}), name="own", timeout=0.25).assert_same_outputs()

def test_thread():
    assert compare(hangs, script({}), name="plain").verdict == "EQUIVALENT"

@parametrize_with_checks([Twins(hangs, script({}), name="pair")], checks=["outputs"])
def test_twins(twins, check):
    check(twins)

def test_good(keras_twins):
    keras_twins(script({}), name="good", timeout=300).assert_equivalent()
"""


def test_builders_that_hang_fail_their_own_tests_only(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(HANGS)
    result = scripted.runpytest("--kerasequiv-timeout=0.5", "--kerasequiv-inconclusive=warn", "--kerasequiv")
    result.assert_outcomes(failed=5, passed=1)
    text = result.stdout.str()
    assert "TimeoutError: not finished: " in text
    lines = text.partition("equivalence of Keras models")[2].splitlines()
    told = [line.split()[:2] for line in lines if line.endswith(" s") and line[0] != " "]
    assert sorted(told) == sorted(
        [["INCONCLUSIVE", name] for name in ("fixture", "own", "pair", "plain")]
        + [["EQUIVALENT", "(measured)"]]
    )


def test_no_test_at_all_fails_too(scripted: pytest.Pytester) -> None:
    result = scripted.runpytest("--kerasequiv")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED kerasequiv-gate*"])


def test_skipped_tests_are_no_checks(scripted: pytest.Pytester) -> None:
    scripted.makepyfile("import pytest\ndef test_it(keras_twins):\n    pytest.skip('not today')")
    assert scripted.runpytest("--kerasequiv").ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(
    ("script", "code"),
    [("", pytest.ExitCode.OK), ("'outputs': 'DIFFERENT'", 1), ("'outputs': 'INCONCLUSIVE'", 1)],
)
def test_one_check_opens_the_gate_and_its_verdict_decides(
    scripted: pytest.Pytester, script: str, code: int
) -> None:
    scripted.makepyfile(ONE % script)
    result = scripted.runpytest("--kerasequiv", "--junitxml=junit.xml")
    assert result.ret == code
    assert "kerasequiv-gate" not in result.stdout.str()
    suite = ET.parse(scripted.path / "junit.xml").getroot()[0]
    assert int(suite.get("failures") or 0) == code
    result.stdout.fnmatch_lines(["*= equivalence of Keras models =*", "*test_it*1 check, *"])


def test_a_deselected_check_does_not_count(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(ONE % "" + "\n\ndef test_other(): pass")
    result = scripted.runpytest("--kerasequiv", "-k", "other")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["FAILED kerasequiv-gate*"])


def test_collect_only_is_not_gated(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(ONE % "")
    assert scripted.runpytest("--kerasequiv", "--collect-only").ret == pytest.ExitCode.OK


SHOWS_ONLY = ["--fixtures", "--fixtures-per-test", "--setup-plan", "--setup-only", "--cache-show"]


@pytest.mark.parametrize("option", [*SHOWS_ONLY, "--collect-only"])
def test_sessions_that_run_no_test_have_no_gate_and_leave_the_report(
    scripted: pytest.Pytester, option: str
) -> None:
    scripted.makepyfile(ONE % "")
    report = scripted.path / "out" / "report.json"
    report.parent.mkdir()
    report.write_text("of the last session")
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=out", option)
    assert result.ret in {pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED}
    assert "kerasequiv-gate" not in result.stdout.str()
    assert report.read_text() == "of the last session"


def test_setup_show_runs_tests_and_is_gated(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(NOTHING)
    result = scripted.runpytest("--kerasequiv", "--setup-show", "-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["FAILED kerasequiv-gate*"])


def test_the_gate_is_no_failed_test_to_repeat(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(NOTHING)
    scripted.runpytest("--kerasequiv")
    result = scripted.runpytest("--kerasequiv", "--lf")
    assert "known failure" not in result.stdout.str()
    assert result.ret == pytest.ExitCode.TESTS_FAILED


def test_last_failed_repeats_the_failed_check(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(ONE % "'outputs': 'DIFFERENT'" + "\n\ndef test_other(): pass")
    scripted.runpytest("--kerasequiv").assert_outcomes(failed=1, passed=1)
    scripted.runpytest("--kerasequiv", "--lf").assert_outcomes(failed=1)


@pytest.mark.parametrize(
    "options", [["-x"], ["--maxfail=1"], ["-p", "no:cacheprovider"], ["--import-mode=importlib"], ["--sw"]]
)
def test_other_options_keep_working(scripted: pytest.Pytester, options: list[str]) -> None:
    scripted.makepyfile(ONE % "'outputs': 'DIFFERENT'" + "\n\ndef test_other(): pass")
    result = scripted.runpytest("--kerasequiv", *options)
    stops = options[0] in {"-x", "--maxfail=1", "--sw"}
    result.assert_outcomes(failed=1, passed=0 if stops else 1)
    result.stdout.fnmatch_lines(["DIFFERENT (measured)*test_it*1 check, *"])
    assert "kerasequiv-gate" not in result.stdout.str()


def test_randomly(scripted: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_ADDOPTS")
    pytest.importorskip("pytest_randomly")
    scripted.makepyfile(ONE % "" + "\n\ndef test_other(): pass")
    result = scripted.runpytest("--kerasequiv", "-p", "randomly")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["Using --randomly-seed*", "EQUIVALENT*test_it*"])


def test_the_last_of_several_reruns_counts(scripted: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    scripted.makepyfile(
        """
        import pathlib

        def test_it(keras_twins):
            tried = pathlib.Path("tried")
            again = tried.exists()
            tried.touch()
            keras_twins(script({} if again else {"outputs": "DIFFERENT"})).assert_same_outputs()
        """
    )
    result = scripted.runpytest("--kerasequiv", "--reruns=1")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["EQUIVALENT (measured)*test_it*1 check, *", "*1 passed, 1 rerun*"])
    assert "DIFFERENT (" not in result.stdout.str()


def test_properties_in_junit(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """

        def test_it(keras_twins, record_property):
            record_property("mine", "kept")
            keras_twins(script({})).assert_equivalent(plan())
        """
    )
    scripted.runpytest("--kerasequiv", "--junitxml=junit.xml")
    shown = properties_of(scripted.path / "junit.xml")
    assert shown["mine"] == "kept"
    assert shown["kerasequiv_verdict"] == "EQUIVALENT"
    assert shown["kerasequiv_evidence"] == "STATISTICAL"
    assert shown["kerasequiv_program"] == "INCONCLUSIVE"
    assert shown["kerasequiv_mae_difference"] == "0.125"
    assert shown["kerasequiv_mae_ci90"] == "[-0.25, 0.5]"
    assert shown["kerasequiv_mae_margin"] == "0.7071"
    assert "kerasequiv_record" not in shown


def properties_of(path: pathlib.Path) -> dict[str, str]:
    return {p.get("name") or "": p.get("value") or "" for p in ET.parse(path).getroot().iter("property")}


def test_the_section(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """

        def test_with_quite_a_long_name_that_goes_on_until_it_cannot_fit_in_the_room_left(keras_twins):
            keras_twins(script({"training": "DIFFERENT"})).check("training", training=plan())

        def test_two(keras_twins):
            keras_twins(script({})).assert_same_summary()
            keras_twins(script({"graph": "INCONCLUSIVE"}), name="second").check("graph")
        """
    )
    result = scripted.runpytest("--kerasequiv")
    result.stdout.fnmatch_lines(
        [
            "EQUIVALENT (measured)     test_two *1 check, *",
            "    EQUIVALENT:   summary",
            "INCONCLUSIVE              second *1 check, *",
            "    INCONCLUSIVE: graph",
            "DIFFERENT (statistical)   test_with_quite*…*1 check, *",
            "    DIFFERENT:    training",
            "    metric *reference *candidate *difference [[]90 % interval[]] *margin *",
            "    mae *1.5 ± 0.7071 *1.5 ± 0.7071 *0.125 [[]-0.25, 0.5[]] *±0.7071 (1 sd) *",
        ],
        consecutive=False,
    )
    lines = result.stdout.str().split("equivalence of Keras models")[1].splitlines()
    assert max(len(line) for line in lines) <= 100


def test_a_difference_that_no_test_fails_over_says_so(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        import pytest

        def test_expected(keras_twins):
            with pytest.raises(AssertionError):
                keras_twins(script({"outputs": "DIFFERENT"})).assert_same_outputs()

        def test_failing(keras_twins):
            keras_twins(script({"outputs": "DIFFERENT"})).assert_same_outputs()
        """
    )
    lines = (
        scripted.runpytest("--kerasequiv")
        .stdout.str()
        .partition("equivalence of Keras models")[2]
        .splitlines()
    )
    note = "    expected failure, or kerasequiv_inconclusive = warn"
    assert lines.count(note) == 1
    before = lines[: lines.index(note)]
    assert [line for line in before if not line.startswith(" ")][-1].startswith(
        "DIFFERENT (measured)      test_e"
    )
    assert any("rate is 0.2 in the reference" in line for line in before), "the cause is told"


def test_1000_parametrised_items(scripted: pytest.Pytester) -> None:
    scripted.makepyfile("""
        import pytest

        PAIR = Twins(script({}))

        @pytest.mark.parametrize("number", range(1000))
        def test_it(number, keras_twins):
            keras_twins(PAIR).assert_same_summary()
        """)
    started = time.process_time()
    result = scripted.runpytest("--kerasequiv", "-k", "999")
    assert time.process_time() - started < 5
    result.assert_outcomes(passed=1, deselected=999)


MISBEHAVES = """
import os, sys, threading, time
import keras, tensorflow as tf
GOOD = script({})

def does(what):
    def build():
        exec(what)
        return GOOD()
    return build

def test_bad(keras_twins):
    keras_twins(does(WHAT), GOOD).assert_same_outputs()

def test_after(keras_twins):
    keras_twins(GOOD).assert_same_outputs()
    assert (os.getcwd(), os.environ.get("KERASEQUIV_NEW")) == (HERE, None)
    assert not tf.config.functions_run_eagerly()
    assert keras.config.dtype_policy().name == "float32"
"""
KEEPS = (
    "os.chdir('/')",
    "os.environ['KERASEQUIV_NEW'] = '1'",
    "keras.utils.set_random_seed(3)",
    "tf.config.run_functions_eagerly(True)",
    "keras.config.set_dtype_policy('float16'); keras.config.set_dtype_policy('mixed_float16')",
    "keras.config.enable_unsafe_deserialization()",
)
ENDS = ("sys.exit(3)", "sys.exit(0)", "raise SystemExit", "raise GeneratorExit", "raise MemoryError")


@pytest.mark.parametrize("what", [*KEEPS, *ENDS])
def test_a_builder_that_misbehaves_leaves_the_rest_of_the_session(
    scripted: pytest.Pytester, what: str
) -> None:
    here = os.fspath(scripted.path)
    scripted.makepyfile(MISBEHAVES.replace("WHAT", repr(what)).replace("HERE", repr(here)))
    result = scripted.runpytest("--kerasequiv", "-rA")
    result.stdout.fnmatch_lines(["PASSED *::test_after"])
    result.assert_outcomes(passed=1 + (what in KEEPS), failed=int(what in ENDS))


def test_a_builder_that_interrupts_ends_the_session_as_ctrl_c_does(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        "def bad():\n    raise KeyboardInterrupt\n"
        "def test_it(keras_twins):\n    keras_twins(bad, script({})).assert_same_outputs()"
    )
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=out", no_reraise_ctrlc=True)
    assert result.ret == 2
    assert "Session interrupted" in (scripted.path / "out" / "summary.md").read_text()
