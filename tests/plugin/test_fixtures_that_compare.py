"""Comparisons made while fixtures are set up: counted, and attributed to every test that uses them."""

from __future__ import annotations

import pytest

NOTE = "    expected failure, or kerasequiv_inconclusive = warn"
OF_A_FIXTURE = """
import pytest
from pytest_kerasequiv import compare

@pytest.fixture(scope={scope!r})
def report():
    return compare(script({{"outputs": {answer!r}}}), checks=["outputs"])

def test_first(report):
    assert report.checks

def test_second(report):
    assert report.verdict.value == "EQUIVALENT"
"""
SET_UP_CLASS = """
import unittest
from pytest_kerasequiv import compare

class TestTwins(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.report = compare(script({}), checks=["outputs"])

    def test_it(self):
        assert self.report.checks
"""
AT_IMPORT = """
from pytest_kerasequiv import compare
REPORT = compare(script({}), checks=["outputs"])
def test_it(): assert REPORT.checks
"""


def section(result: pytest.RunResult) -> list[str]:
    return result.stdout.str().partition("equivalence of Keras models")[2].splitlines()


@pytest.mark.parametrize("scope", ["function", "class", "module", "session"])
def test_what_a_fixture_compares_counts(scripted: pytest.Pytester, scope: str) -> None:
    scripted.makepyfile(OF_A_FIXTURE.format(scope=scope, answer="EQUIVALENT"))
    result = scripted.runpytest("--kerasequiv")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["EQUIVALENT (measured)*1 check*"])


def test_what_set_up_class_compares_counts(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(SET_UP_CLASS)
    result = scripted.runpytest("--kerasequiv")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["EQUIVALENT (measured)*1 check*"])


def test_a_later_test_fails_over_it_too(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(OF_A_FIXTURE.format(scope="module", answer="DIFFERENT"))
    result = scripted.runpytest("--kerasequiv", "--kerasequiv-report=out", "--tb=no")
    result.assert_outcomes(passed=1, failed=1)
    lines = section(result)
    assert sum(line.startswith("DIFFERENT (measured)") for line in lines) == 1
    assert NOTE not in lines
    assert "Session failed: 1 test failed**" in (scripted.path / "out" / "summary.md").read_text()


def test_a_fixture_made_anew_or_overridden_is_another(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        import pytest
        from pytest_kerasequiv import compare

        @pytest.fixture(scope="module", params=["one", "two"])
        def report(request):
            return compare(script({}), checks=["outputs"], name=request.param)

        class TestInner:
            @pytest.fixture(scope="class")
            def report(self):
                return compare(script({"outputs": "DIFFERENT"}), checks=["outputs"], name="inner")

            def test_inner(self, report): assert report.checks

        def test_outer(report): assert report.checks
        """
    )
    result = scripted.runpytest("--kerasequiv", "--junitxml=junit.xml")
    result.assert_outcomes(passed=3)
    heads = [line.split()[2] for line in section(result) if " check," in line]
    assert sorted(heads) == ["inner", "one", "two"]
    assert (scripted.path / "junit.xml").read_text().count('value="DIFFERENT"') == 2  # verdict and outputs


def test_a_fixture_first_asked_for_by_a_running_test(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        import pytest
        from pytest_kerasequiv import compare

        @pytest.fixture(scope="module")
        def report():
            return compare(script({}), checks=["outputs"])

        def test_asks(request): assert request.getfixturevalue("report").checks
        def test_names(report): assert report.checks
        """
    )
    result = scripted.runpytest("--kerasequiv")
    result.assert_outcomes(passed=2)
    assert sum(" check," in line for line in section(result)) == 1


def test_an_assertion_that_fails_in_a_fixture_is_reported(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        import pytest
        from pytest_kerasequiv import assert_equivalent

        @pytest.fixture(scope="module")
        def report():
            return assert_equivalent(script({"outputs": "DIFFERENT"}), checks=["outputs"])

        def test_it(report): pass
        """
    )
    result = scripted.runpytest("--kerasequiv")
    result.assert_outcomes(errors=1)
    assert NOTE not in section(result)
    result.stdout.fnmatch_lines(["DIFFERENT (measured)*1 check*"])


def test_a_rerun_of_the_first_test_keeps_it(scripted: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    scripted.makepyfile(
        """
        import pathlib
        import pytest
        from pytest_kerasequiv import compare

        @pytest.fixture(scope="session")
        def report():
            return compare(script({}), checks=["outputs"])

        def test_it(report):
            tried = pathlib.Path("tried")
            again = tried.exists()
            tried.touch()
            assert again
        """
    )
    result = scripted.runpytest("--kerasequiv", "--reruns=1")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["EQUIVALENT (measured)*1 check*"])


def test_what_an_import_compares_does_not_count_and_the_gate_says_so(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(AT_IMPORT)
    result = scripted.runpytest("--kerasequiv")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*not what a module compares when it is imported.", "FAILED *-gate*"])
