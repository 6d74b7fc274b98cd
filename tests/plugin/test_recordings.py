"""Recordings of tests: named, missing, written, renewed, never deleted."""

import sys

import pytest

MODELS = """
    import keras

    def net(units=2, activation="relu"):
        layers = [keras.layers.Dense(4, activation=activation), keras.layers.Dense(units)]
        model = keras.Sequential([keras.Input((3,)), *layers])
        model.compile("sgd", "mse")
        return model
"""

TESTS = """
    import numpy as np
    from models import net
    from pytest_kerasequiv import Training, compare

    def test_it(keras_twins):
        keras_twins(net, recording="net").assert_equivalent()
"""


@pytest.fixture
def folder(pytester, monkeypatch):
    """A folder with a builder and a test that compares it with a recording."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly -p no:hypothesispytest -p no:cacheprovider")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the builder changes within a second
    pytester.syspathinsert()
    pytester.makepyfile(models=MODELS, test_net=TESTS)
    return pytester


def change(folder, **settings):
    """Let the builder have other defaults."""
    text = (folder.path / "models.py").read_text()
    for name, value in settings.items():
        before = {"units": "units=2", "activation": 'activation="relu"'}[name]
        text = text.replace(before, f"{name}={value!r}", 1)
    (folder.path / "models.py").write_text(text)


def files(folder):
    """The recordings and their bytes."""
    return {path.name: path.read_bytes() for path in folder.path.rglob("*.kerasequiv*")}


def test_a_missing_recording_fails_with_the_command_that_makes_it(folder, monkeypatch):
    monkeypatch.setenv("CI", "true")
    result = folder.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["*InputError: there is no recording '*recordings/net.kerasequiv'; make it with: pytest *"]
    )
    assert "pytest test_net.py::test_it --kerasequiv-record" in result.stdout.str().replace("\n", " ")
    assert not files(folder)


def test_recordings_are_written_kept_and_renewed(folder):
    result = folder.runpytest("--kerasequiv-record")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["recording written: recordings/net.kerasequiv"])
    first = files(folder)
    assert list(first) == ["net.kerasequiv"]

    folder.runpytest().assert_outcomes(passed=1)
    result = folder.runpytest("--kerasequiv-record")
    result.stdout.fnmatch_lines(["recording unchanged: recordings/net.kerasequiv"])
    assert files(folder) == first

    change(folder, activation="tanh")
    result = folder.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*graph: *activation is 'relu' in the reference and 'tanh' in*"])
    assert files(folder) == first
    result = folder.runpytest("--kerasequiv-record")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["recording renewed: recordings/net.kerasequiv (DIFFERENT: *activation*"])
    assert files(folder) != first


def test_only_what_the_selected_tests_name_is_written_and_nothing_deleted(folder):
    folder.makepyfile(
        test_more="""
        from models import net
        from pytest_kerasequiv import compare

        def test_plain(request):
            path = request.path.parent / "recordings" / "plain.kerasequiv"
            assert compare(path, net, checks=["graph"]).verdict.value == "EQUIVALENT"

        def test_other(keras_twins):
            keras_twins(lambda: net(3), recording="other").assert_same_summary()
        """
    )
    old = folder.path / "recordings" / "old.kerasequiv"
    old.parent.mkdir()
    old.write_bytes(b"yesterday's")
    result = folder.runpytest("--kerasequiv-record", "-k", "plain or it")
    result.assert_outcomes(passed=2)
    assert sorted(files(folder)) == ["net.kerasequiv", "old.kerasequiv", "plain.kerasequiv"]
    result.stdout.fnmatch_lines(
        [
            "recording written: recordings/net.kerasequiv",
            "recording written: recordings/plain.kerasequiv",
            "recording not named by the tests that ran: recordings/old.kerasequiv",
        ]
    )
    assert old.read_bytes() == b"yesterday's"


def test_workers_write_what_their_tests_name(folder):
    folder.makepyfile(
        test_more="""
        from models import net

        def test_other(keras_twins):
            keras_twins(lambda: net(3), recording="other").assert_same_summary()
        """
    )
    result = folder.runpytest_subprocess("--kerasequiv-record", "-n2")
    result.assert_outcomes(passed=2)
    assert sorted(files(folder)) == ["net.kerasequiv", "other.kerasequiv"]
    result.stdout.fnmatch_lines(
        ["recording written: *net.kerasequiv", "recording written: *other.kerasequiv"]
    )


def test_declared_twins_name_a_recording(folder):
    folder.makepyprojecttoml(
        """
        [[tool.kerasequiv.twins]]
        name = "net"
        recording = "net"
        candidate = "models:net"
        checks = ["graph", "outputs"]
        """
    )
    declared = ("pyproject.toml", "--kerasequiv")
    result = folder.runpytest(*declared)
    result.assert_outcomes(failed=2)
    assert "--kerasequiv --kerasequiv-record" in result.stdout.str()
    folder.runpytest(*declared, "--kerasequiv-record").assert_outcomes(passed=2)
    folder.runpytest(*declared).assert_outcomes(passed=2)
    assert list(files(folder)) == ["net.kerasequiv"]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"recording": "net"}, "needs key 'candidate'"),
        (
            {"recording": "net", "candidate": "models:net", "reference": "models:net"},
            "both name the reference",
        ),
    ],
)
def test_declarations_that_make_no_sense_are_refused(folder, keys, message):
    lines = "\n".join(f'{key} = "{value}"' for key, value in keys.items())
    folder.makepyprojecttoml(f'[[tool.kerasequiv.twins]]\nname = "net"\n{lines}')
    result = folder.runpytest("pyproject.toml", "--kerasequiv")
    result.assert_outcomes(errors=1)
    assert message in result.stdout.str()


def test_a_recording_and_a_candidate_are_refused(folder):
    folder.makepyfile(
        test_net="""
        from models import net

        def test_two(keras_twins):
            keras_twins(net, net, recording="net")

        def test_none(keras_twins):
            keras_twins(net, recording="")
        """
    )
    result = folder.runpytest()
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        ["*so only one model is given; leave candidate away", "*names no recording; give*"]
    )


def test_runs_of_training_are_recorded_and_stay(folder):
    folder.makepyfile(
        test_net=TESTS
        + """
    def test_training(keras_twins):
        x = np.linspace(0, 1, 24, dtype="float32").reshape(8, 3)
        y = x[:, :2].copy()
        plan = Training((x, y), (x, y), seeds=9, margin=100.0)
        keras_twins(net, recording="net").assert_same_training(plan)
        """
    )
    folder.runpytest("--kerasequiv-record", "--kerasequiv").assert_outcomes(passed=2)
    first = files(folder)
    folder.runpytest("--kerasequiv").assert_outcomes(passed=2)
    result = folder.runpytest("--kerasequiv-record")
    result.assert_outcomes(passed=1, skipped=1)
    assert "equivalence of Keras models" not in result.stdout.str()
    assert files(folder) == first
    result.stdout.fnmatch_lines(["recording unchanged: *"])


def test_a_session_without_recordings_says_so(folder):
    folder.makepyfile(test_net="def test_it(): pass")
    result = folder.runpytest("--kerasequiv-record")
    result.stdout.fnmatch_lines(
        ["kerasequiv: no test that ran compares with a recording, so none was written"]
    )
