"""``--kerasequiv-against REV``: the builders of the working tree against themselves at a git revision."""

import json
import subprocess

import pytest

from pytest_kerasequiv.plugin.declared import read_pairs
from pytest_kerasequiv.plugin.declared_against import pairs_against
from pytest_kerasequiv.plugin.then_and_now import RevisionOfSession
from pytest_kerasequiv.training.plan import Training

MODELS = """
import os
import keras

def net(activation="relu", rate=0.2):
    first = keras.layers.Dense(3, activation, name="first")
    return keras.Sequential([keras.Input((4,)), first, keras.layers.Dropout(rate), keras.layers.Dense(1)])

def steady():
    return net()

def changed():
    return net(os.environ.get("ACTIVATION", "relu"))

def before():
    return net("tanh")

def reading():
    return net(open("activation.txt").read().strip())
"""

NOW = """
import keras

def net(activation="relu", rate=0.2):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(3, activation)(inputs)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dropout(rate)(x)))

def steady():
    return net()

def changed():
    return net("elu")

def after():
    return net("tanh")

def fresh():
    return net()

def reading():
    return net(open("activation.txt").read().strip())
"""

DECLARED = """
[[tool.kerasequiv.twins]]
name = "steady"
reference = "against_models:steady"
candidate = "against_models:changed"

[[tool.kerasequiv.twins]]
name = "after"
reference = "against_models:after"
was = "against_models:before"

[[tool.kerasequiv.twins]]
name = "fresh"
reference = "against_models:fresh"

[[tool.kerasequiv.twins]]
name = "reading"
reference = "against_models:reading"
"""

TESTS = """
import keras
import against_models
from against_models import net

def build():
    return net(rate=RATE)

def test_one(keras_twins):
    keras_twins(build, compile={"optimizer": "sgd", "loss": "mse"}).assert_equivalent()

def test_two(keras_twins):
    keras_twins(against_models.steady, against_models.steady).assert_same_summary()
"""


@pytest.fixture
def git(pytester, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:randomly -p no:hypothesispytest")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@b.c")

    def run(*command):
        subprocess.run(["git", *command], cwd=pytester.path, check=True, capture_output=True)

    run("init", "-q", "-b", "main")
    return run


def commit(git):
    git("add", ".")
    git("commit", "-qm", "1")


@pytest.mark.slow
def test_each_builder_is_compared_with_what_it_was_and_the_next_session_starts_no_process(
    pytester, git, monkeypatch
):
    pytester.makepyfile(against_models=MODELS, test_it=TESTS.replace("RATE", "0.5"))
    pytester.path.joinpath("activation.txt").write_text("relu")
    pytester.path.joinpath(".gitignore").write_text(".pytest_cache/\n__pycache__/\nreport/\n")
    commit(git)
    pytester.makepyfile(against_models=NOW, test_it=TESTS.replace("RATE", "0.5"))
    pytester.makepyprojecttoml(DECLARED)
    pytester.path.joinpath("activation.txt").write_text("tanh")
    arguments = ("--kerasequiv-against", "main", "--kerasequiv-report", "report", ".", "pyproject.toml")
    result = pytester.runpytest_inprocess(*arguments)
    assert result.ret == 1
    assert states(pytester) == {
        "steady": "unchanged (proved)",
        "steady.candidate": "different",
        "after": "unchanged (proved)",
        "reading": "different",
        "test_one": "unchanged (proved)",
        "fresh": "new",
    }
    commit_of_main = subprocess.check_output(["git", "rev-parse", "main"], cwd=pytester.path, text=True)[:9]
    told = f"the working tree with changes that are not committed against main ({commit_of_main})"
    result.stdout.fnmatch_lines(
        [
            f"kerasequiv: {told}",
            f"builders: {told}",
            "    different             reading",
            "*activation is 'relu'*",
            "    new                   fresh",
            "*against_models:fresh does not exist at revision main*",
        ]
    )
    page = pytester.path.joinpath("report/summary.md").read_text()
    assert "| steady.candidate | different |" in page
    assert "against main" in pytester.path.joinpath("report/report.html").read_text()
    monkeypatch.setattr("pytest_kerasequiv.revision.against.RevisionProcess", None)
    again = pytester.runpytest_inprocess(
        *arguments, "--deselect", "pyproject.toml::fresh-summary", "-k", "not fresh"
    )
    assert again.ret == 1
    assert states(pytester)["steady"] == "unchanged (proved)"
    monkeypatch.setenv("ACTIVATION", "elu")  # which the code of then reads, so that it is observed anew
    result = pytester.runpytest_inprocess(*arguments, "-k", "steady")
    assert "TypeError" in result.stdout.str()


def states(pytester):
    report = json.loads(pytester.path.joinpath("report/report.json").read_text())
    return {row["name"]: row["state"] for row in report["against"]["builders"]}


def test_a_session_that_compares_no_builder_with_the_revision_fails(pytester, git):
    pytester.makepyfile(
        against_two="""
        def test_nothing():
            pass
        """
    )
    pytester.makepyfile(
        test_two="""
        import keras
        from pytest_kerasequiv import compare

        def build():
            return keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

        def test_two(keras_twins):
            keras_twins(build, lambda: build()).assert_same_summary()
        """
    )
    commit(git)
    result = pytester.runpytest_inprocess("--kerasequiv-against=HEAD")
    result.stdout.fnmatch_lines(["*--kerasequiv-against HEAD: no builder was compared with that revision*"])
    assert result.ret == 1


@pytest.mark.parametrize(
    ("rev", "message"),
    [("lost", "*--kerasequiv-against: 'lost' is no commit of the repository*"), ("", "*'' is no value*")],
)
def test_a_revision_that_cannot_be_used_ends_the_session(pytester, git, rev, message):
    pytester.makepyfile("def test_it(): pass")
    commit(git)
    result = pytester.runpytest_inprocess(f"--kerasequiv-against={rev}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_outside_a_repository_the_session_ends(pytester):
    pytester.makepyfile("def test_it(): pass")
    result = pytester.runpytest_inprocess("--kerasequiv-against=HEAD")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--kerasequiv-against: *is in no git repository*"])


def test_the_ini_file_names_a_revision_that_only_kerasequiv_compares_with(pytester, git):
    pytester.makepyfile("def test_it(): pass")
    pytester.makeini("[pytest]\nkerasequiv_against = lost\n")
    assert pytester.runpytest_inprocess().ret == 0
    assert pytester.runpytest_inprocess("--kerasequiv").ret == pytest.ExitCode.USAGE_ERROR


def test_other_requirements_are_warned_of(pytester, git):
    pytester.makepyfile("def test_it(): pass")
    pytester.path.joinpath("uv.lock").write_text("1")
    pytester.makepyprojecttoml('[project]\nname = "x"\nversion = "1"\ndependencies = ["keras"]\n')
    commit(git)
    pytester.path.joinpath("uv.lock").write_text("2")
    result = pytester.runpytest_inprocess("--kerasequiv-against=HEAD")
    result.stdout.fnmatch_lines(["*RevisionWarning: uv.lock: other requirements at HEAD*"])


BEFORE = """
[[tool.kerasequiv.twins]]
name = "net"
reference = "against_plans:old"
compile = { optimizer = "sgd", loss = "mse" }
input_shape = [4]
data = "against_plans:load_old"
epochs = 2
seeds = 3
"""


def test_a_revision_trains_by_its_own_declaration_and_todays_decides(pytester, git):
    pytester.makepyfile(
        against_plans="def old(): pass\ndef load_old(): pass\ndef new(): pass\ndef load(): pass\n"
    )
    pytester.makepyprojecttoml(BEFORE)
    commit(git)
    now = (
        BEFORE.replace("load_old", "load")
        .replace("epochs = 2", "epochs = 5")
        .replace("seeds = 3", "seeds = 7")
    )
    now = now.replace("against_plans:old", "against_plans:new").replace('"sgd"', '"adam"')
    pytester.makepyprojecttoml(now + 'was = "against_plans:old"\nmargin = "5%"\n')
    pytester.syspathinsert()
    file = pytester.path / "pyproject.toml"
    config = pytester.parseconfig()
    revision = RevisionOfSession(config, "HEAD")
    (pair,) = pairs_against(revision, file, read_pairs(file))
    then = pair.twins.then()
    assert (pair.twins.builder, then.builder) == ("against_plans:new", "against_plans:old")
    assert pair.twins.options["compile"]["optimizer"] == "adam"
    assert then.options == {"compile": {"optimizer": "sgd", "loss": "mse"}, "input_shape": [4]}
    data = ([[1.0]], [[1.0]])
    asked = then.plan(Training(data, data, epochs=5, seeds=7, margin="5%"))
    assert asked["data"] == "against_plans:load_old"
    assert asked["otherwise"] is None
    settings = asked["settings"]
    assert (settings["epochs"], settings["seeds"], settings["margin"]) == (2, 7, "5%")
    assert "batch_size" not in settings
