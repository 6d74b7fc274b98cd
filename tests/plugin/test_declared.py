from __future__ import annotations

import fnmatch
import itertools
import pathlib
import sys
import time

import pytest

from pytest_kerasequiv import InputError
from pytest_kerasequiv.plugin.declared import declares_twins

SCRIPTED = "from scripted_checks import ARRAYS, script"
MODELS = """
from scripted_checks import ARRAYS, script

good = script({})
bad = script({"outputs": "DIFFERENT"})
number = 3

def hangs():
    import time
    time.sleep(1000)

def load():
    return ARRAYS, ARRAYS

def load_anew():
    with open("loaded", "a") as file:
        file.write("x")
    return ARRAYS, ARRAYS

def load_one():
    return "everything"

def stops():
    import keras
    return [keras.callbacks.EarlyStopping()]
"""
PAIR = """
[[tool.kerasequiv.twins]]
name = "forecaster"
reference = "my_models:good"
candidate = "my_models:bad"
"""
TRAINED = PAIR + 'data = "my_models:load"\nepochs = 5\nmargin = "10%"\n'


@pytest.fixture
def project(scripted: pytest.Pytester) -> pytest.Pytester:
    """A project that has models and no test code."""
    scripted.makepyfile(my_models=MODELS)
    return scripted


def test_cheap_checks_become_tests_with_the_flag_only(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(PAIR)
    assert project.runpytest().ret == pytest.ExitCode.NO_TESTS_COLLECTED
    result = project.runpytest("--kerasequiv", "-v")
    result.assert_outcomes(passed=6, xfailed=1)
    result.stdout.fnmatch_lines(
        [
            "pyproject.toml::forecaster-summary PASSED*",
            "pyproject.toml::forecaster-program XFAIL*",
            "pyproject.toml::forecaster-updates PASSED*",
            "EQUIVALENT (measured)     forecaster *7 checks, *",
        ]
    )


def test_data_adds_the_training(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(TRAINED)
    result = project.runpytest("--kerasequiv")
    result.assert_outcomes(passed=7, xfailed=1)
    result.stdout.fnmatch_lines(["EQUIVALENT (statistical)  forecaster *8 checks, *"])


def test_the_plan_holds_data_and_settings(project: pytest.Pytester) -> None:
    options = "class_weight = { 0 = 2.0 }\ncallbacks = 'my_models:stops'\nsteps_per_epoch = 3\n"
    project.makepyprojecttoml(TRAINED + options)
    project.makeconftest(
        """
        import scripted_checks

        def pytest_sessionfinish():
            name, options, _ = scripted_checks.CALLS[-1]
            plan = options["training"]
            print("PLAN", name, plan.train.samples, plan.test.samples, plan.seeds, plan.epochs, plan.margin)
            print("OPTIONS", plan.train.sample_weight, plan.callbacks.__name__, plan.steps_per_epoch)
        """
    )
    text = project.runpytest("-s", "--kerasequiv", "--kerasequiv-seeds=6").stdout.str()
    assert "PLAN training 4 4 6 5 10%" in text
    assert "stops 3" in next(line for line in text.splitlines() if "OPTIONS [" in line)


def test_a_difference_fails_at_its_declaration(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(PAIR.replace("good", "bad"))
    result = project.runpytest("--kerasequiv")
    result.assert_outcomes(passed=3, failed=1, xfailed=1, skipped=2)
    result.stdout.fnmatch_lines(
        ["DIFFERENT (measured): forecaster*", "FAILED pyproject.toml::forecaster-outputs*"]
    )
    assert "declared_items.py" not in result.stdout.str()


def test_checks_can_be_chosen_and_selected(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(TRAINED + 'checks = ["training", "graph", "outputs"]')
    result = project.runpytest("--kerasequiv", "-k", "not outputs", "-v")
    result.assert_outcomes(passed=2, deselected=1)
    project.runpytest("--kerasequiv", "-m", "kerasequiv").assert_outcomes(passed=1, deselected=2)


def test_several_pairs_and_a_folder_of_their_own(project: pytest.Pytester) -> None:
    project.makepyprojecttoml("[tool.pytest.ini_options]")  # so that the root is here
    folder = project.mkdir("part")
    second = PAIR.replace('"forecaster"', '"second"')
    (folder / "pyproject.toml").write_text((PAIR + second).replace("my_models", "part_models"))
    (folder / "part_models.py").write_text(MODELS)
    result = project.runpytest("--kerasequiv", "part", "-k", "summary or weights", "-v")
    result.assert_outcomes(passed=4, deselected=10)
    result.stdout.fnmatch_lines(["part/pyproject.toml::second-weights PASSED*"])


def test_tests_of_a_pair_stay_together_in_any_order(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(PAIR + PAIR.replace("forecaster", "other"))
    project.makeconftest(
        "def pytest_collection_modifyitems(items): items.sort(key=lambda item: item.name[::-1])"
    )
    lines = project.runpytest("--kerasequiv", "--collect-only", "-q").outlines
    pairs = [line.partition("::")[2].partition("-")[0] for line in lines if "::" in line]
    assert len(pairs) == 14
    assert sum(a != b for a, b in itertools.pairwise(pairs)) == 1


def test_testpaths_do_not_hide_the_declaration(project: pytest.Pytester) -> None:
    project.makepyprojecttoml('[tool.pytest.ini_options]\ntestpaths = ["tests"]\n' + PAIR)
    project.mkdir("tests").joinpath("test_other.py").write_text("def test_other(): pass")
    project.runpytest("--kerasequiv").assert_outcomes(passed=7, xfailed=1)
    project.runpytest("--kerasequiv", "tests").assert_outcomes(passed=1, failed=1)  # the gate
    project.runpytest().assert_outcomes(passed=1)


def test_a_conftest_rules_over_declared_twins_too(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(TRAINED)
    project.makeconftest(
        """
        import pytest, scripted_checks

        @pytest.fixture(scope="session")
        def kerasequiv_settings(kerasequiv_settings):
            return kerasequiv_settings.with_defaults(alpha=0.01)

        @pytest.fixture(scope="session")
        def kerasequiv_executor():
            return "mine"

        def pytest_sessionfinish():
            _, options, _ = scripted_checks.CALLS[-1]
            print("GOT", options["executor"], options["training"].alpha)
        """
    )
    assert "GOT mine 0.01" in project.runpytest("-s", "--kerasequiv").stdout.str()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "forecaster"', "", "pair number 1: key 'name' is None"),
        ('name = "forecaster"', "name = 3", "pair number 1: key 'name' is 3"),
        ('reference = "declared_models:good"', "", "pair 'forecaster': key 'reference' is missing"),
        (
            "declared_models:good",
            "declared_models:lost",
            "pair 'forecaster': reference='declared_models:lost': module *no 'lost'*",
        ),
        ("declared_models:good", "gone:lost", "pair 'forecaster': reference='gone:lost': *no module 'gone'*"),
        (
            "declared_models:good",
            "model.keras",
            "pair 'forecaster': reference='model.keras': there is no such file in *",
        ),
        (
            "declared_models:good",
            "model",
            "pair 'forecaster': reference='*model' is neither a file ending in*",
        ),
        (
            "reference =",
            "refrence =",
            "pair 'forecaster': key 'refrence' is unknown; did you mean 'reference'?",
        ),
        ("epochs = 5", "epoch = 5", "pair 'forecaster': key 'epoch' is unknown; did you mean 'epochs'?"),
        ("epochs = 5", "colour = 5", "pair 'forecaster': key 'colour' is unknown; choose from name, *"),
        ("epochs = 5", 'epochs = "5"', "pair 'forecaster': key 'epochs' is '5'; it must be a whole number"),
        ("epochs = 5", "epochs = true", "pair 'forecaster': key 'epochs' is True; it must be a whole number"),
        ("epochs = 5", "epochs = 0", "pair 'forecaster': epochs=0 must be a whole number of at least 1"),
        ("epochs = 5", "shuffle = 1", "pair 'forecaster': key 'shuffle' is 1; it must be true or false"),
        (
            "epochs = 5",
            'input_shape = "60"',
            "pair 'forecaster': key 'input_shape' is '60'; it must be a list*",
        ),
        (
            "epochs = 5",
            'checks = ["output"]',
            "pair 'forecaster': checks=*names 'output', which is no check*",
        ),
        (
            "declared_models:load",
            "declared_models:number",
            "pair 'forecaster': data='declared_models:number' names 3*",
        ),
        ("declared_models:load", "declared_models:lode", "pair 'forecaster': data='declared_models:lode'*"),
        (
            'data = "declared_models:load"',
            "",
            "pair 'forecaster': key 'epochs' belongs to repeated training*'data' too",
        ),
        ("[[tool.kerasequiv.twins]]", "[tool.kerasequiv.twins]", "key 'twins' must be an array of tables*"),
        (
            "[[tool.kerasequiv.twins]]",
            "[[tool.kerasequiv.twin]]",
            "[tool.kerasequiv]: key 'twin' is unknown; did you mean 'twins'?",
        ),
    ],
)
def test_a_bad_declaration_names_file_pair_and_key(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    from pytest_kerasequiv.plugin.declared import read_pairs

    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "declared_models.py").write_text(MODELS.replace(SCRIPTED, "script, ARRAYS = dict, ()"))
    path = tmp_path / "pyproject.toml"
    text = TRAINED.replace("my_models", "declared_models")
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError) as caught:
        read_pairs(path)
    sys.modules.pop("declared_models", None)
    pattern = f"{path}: {message}*".replace("[", "[[]")
    assert fnmatch.fnmatch(str(caught.value), pattern), str(caught.value)


def test_a_bad_declaration_is_an_error_of_its_file(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(TRAINED.replace("epochs = 5", "epoch = 5"))
    result = project.runpytest("--kerasequiv")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        [
            "*ERROR collecting pyproject.toml*",
            "*pyproject.toml: pair 'forecaster': key 'epoch' is unknown; did you mean 'epochs'?",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "declared.py" not in result.stdout.str()


def test_two_pairs_of_one_name_are_refused(tmp_path: pathlib.Path) -> None:
    from pytest_kerasequiv.plugin.declared import read_pairs

    (tmp_path / "pyproject.toml").write_text(PAIR + PAIR)
    with pytest.raises(InputError, match=r"two pairs have the name 'forecaster' \(key 'name'\)"):
        read_pairs(tmp_path / "pyproject.toml")


def test_data_of_another_form_is_refused_where_it_is_loaded(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(TRAINED.replace("my_models:load", "my_models:load_one"))
    result = project.runpytest("--kerasequiv")
    result.assert_outcomes(passed=6, xfailed=1, failed=1)
    result.stdout.fnmatch_lines(["data='my_models:load_one' returned 'everything'; it must return *"])


def test_what_a_builder_raises_is_shown_where_it_was_raised(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(broken="def build():\n    raise RuntimeError('no such layer')  # the line to mend\n")
    pytester.makepyprojecttoml(
        '[[tool.kerasequiv.twins]]\nname = "x"\nreference = "broken:build"\nchecks = ["summary"]\n'
    )
    result = pytester.runpytest("--kerasequiv")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*raise RuntimeError('no such layer')  # the line to mend",
            "broken.py:2: RuntimeError",
            "*InputError: reference 'broken:build' cannot be built: it raised RuntimeError: no such layer*",
        ]
    )
    result.stdout.no_fnmatch_line("*makers.py*")


def test_other_pyprojects_are_no_concern(project: pytest.Pytester) -> None:
    project.makepyprojecttoml("[project]\ndependencies = ['pytest-kerasequiv']")
    project.mkdir("broken").joinpath("pyproject.toml").write_text("[tool.kerasequiv")
    project.makepyfile("def test_it(keras_twins): keras_twins(script({})).assert_same_outputs()")
    project.runpytest("--kerasequiv").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    "options", [["--import-mode=importlib"], ["-p", "no:cacheprovider"], ["--maxfail=1"]]
)
def test_other_options(project: pytest.Pytester, options: list[str]) -> None:
    project.makepyprojecttoml(PAIR)
    project.runpytest("--kerasequiv", *options).assert_outcomes(passed=6, xfailed=1)


def test_last_failed_and_reruns(project: pytest.Pytester) -> None:
    pytest.importorskip("pytest_rerunfailures")
    project.makepyprojecttoml(PAIR.replace("good", "bad"))
    project.runpytest("--kerasequiv", "--reruns=1").assert_outcomes(passed=3, failed=1, xfailed=1, skipped=2)
    project.runpytest("--kerasequiv", "--lf").assert_outcomes(failed=1)


def test_modules_of_one_name_in_two_folders_are_not_mistaken(scripted: pytest.Pytester) -> None:
    for folder in ("a", "b"):
        place = scripted.mkdir(folder)
        place.joinpath("shared_name.py").write_text(MODELS, encoding="utf-8")
        declared = PAIR.replace("my_models", "shared_name").replace("forecaster", folder)
        place.joinpath("pyproject.toml").write_text(declared, encoding="utf-8")
    result = scripted.runpytest("--kerasequiv", "a", "b")
    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        ["*b*pyproject.toml: pair 'b': reference='shared_name:good': the module 'shared_name' beside *"]
    )


def test_a_declaration_that_is_no_toml_is_an_error(project: pytest.Pytester) -> None:
    place = project.mkdir("sub")
    place.joinpath("pyproject.toml").write_text("[[tool.kerasequiv.twins]\n" + PAIR, encoding="utf-8")
    place.joinpath("test_one.py").write_text("def test_one(): pass\n", encoding="utf-8")
    result = project.runpytest("--kerasequiv")
    assert result.ret != pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*pyproject.toml: the file cannot be read as TOML: *"])


def test_a_table_that_is_none_is_refused(tmp_path: pathlib.Path) -> None:
    from pytest_kerasequiv.plugin.declared import read_pairs

    path = tmp_path / "pyproject.toml"
    path.write_text("[tool]\nkerasequiv = 3\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"key 'tool.kerasequiv' is 3; write \[\[tool.kerasequiv.twins\]\]"):
        read_pairs(path)


def test_fixtures_of_every_scope_reach_declared_twins(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(PAIR)
    project.makeconftest(
        """
        import pytest
        import scripted_checks

        @pytest.fixture(autouse=True, scope="module")
        def of_module(request):
            assert request.module.__name__ == "pyproject"

        def pytest_collection_modifyitems(items):
            assert all(item.module.__name__ for item in items)
        """
    )
    project.runpytest("--kerasequiv").assert_outcomes(passed=6, xfailed=1)


def test_twins_that_the_asked_paths_leave_out_are_told(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(PAIR)
    place = project.mkdir("checks")
    place.joinpath("test_it.py").write_text(
        "from scripted_checks import script\n"
        "def test_it(keras_twins): keras_twins(script({})).assert_same_outputs()\n",
        encoding="utf-8",
    )
    told = "kerasequiv: the twins declared in pyproject.toml are not asked for; add it to run them: *"
    result = project.runpytest("--kerasequiv", "checks")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([told])
    for paths in ([], ["."], ["pyproject.toml", "checks"], ["pyproject.toml::forecaster-outputs"]):
        project.runpytest("--kerasequiv", *paths).stdout.no_fnmatch_line(told)


def test_what_is_accepted_can_be_declared(project: pytest.Pytester) -> None:
    bad = PAIR.replace("my_models:good", "my_models:bad")
    project.makepyprojecttoml(f'{bad}accept = ["dropout.rate"]')
    project.runpytest("--kerasequiv").assert_outcomes(passed=6, xfailed=1)
    project.makepyprojecttoml(f'{bad}accept = ["clip.*"]')
    result = project.runpytest("--kerasequiv")
    result.assert_outcomes(passed=3, failed=1, xfailed=1, skipped=2)
    project.makepyprojecttoml(f'{PAIR}accept = ["clip.*"]')
    result = project.runpytest("--kerasequiv")
    result.assert_outcomes(passed=5, failed=1, xfailed=1)
    result.stdout.fnmatch_lines(["accept holds 'clip.[*]', which meets nothing: no difference was found*"])


def test_a_limit_of_time_can_be_declared(project: pytest.Pytester) -> None:
    hangs = PAIR.replace("my_models:good", "my_models:hangs").replace("forecaster", "hangs")
    project.makepyprojecttoml(f"{hangs}timeout = 0.5\n{PAIR}")
    result = project.runpytest("--kerasequiv", "-k", "outputs")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["EQUIVALENT*forecaster *", "INCONCLUSIVE*hangs *1 check, 0.? s"])
    project.makepyprojecttoml(f"{hangs}timeout = -1")
    project.runpytest("--kerasequiv").stdout.fnmatch_lines(
        ["*pyproject.toml: pair 'hangs': timeout=-1 is no limit of time; give seconds, for example 600"]
    )


def test_a_loader_is_called_once_for_both_twins(project: pytest.Pytester) -> None:
    """One that returns other data each time gives both the same."""
    project.makepyprojecttoml(PAIR + 'data = "my_models:load_anew"')
    project.runpytest("--kerasequiv").stdout.fnmatch_lines(["*forecaster*8 checks,*"])
    assert (project.path / "loaded").read_text() == "x"


def test_300_pairs_are_collected_at_once(project: pytest.Pytester) -> None:
    project.makepyprojecttoml("".join(PAIR.replace("forecaster", f"pair{n}") for n in range(300)))
    started = time.process_time()
    result = project.runpytest("--kerasequiv", "--collect-only", "-q")
    assert time.process_time() - started < 5
    result.stdout.fnmatch_lines(["2100 tests collected*"])
    started = time.process_time()
    assert project.runpytest("--collect-only", "-q").ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert time.process_time() - started < 0.5


def test_all_checks_can_be_declared(project: pytest.Pytester) -> None:
    project.makepyprojecttoml(PAIR.replace("my_models:good", "my_models:bad") + 'checks = "all"')
    project.runpytest("--kerasequiv").assert_outcomes(passed=5, failed=1, xfailed=1)


def test_a_long_broken_file_is_looked_through_at_once(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text("[tool.kerasequiv\n" + "\n" * 40_000)
    started = time.perf_counter()
    assert not declares_twins(path)
    assert time.perf_counter() - started < 2
