from __future__ import annotations

import pytest

SHOW_SETTINGS = """
def test_it(kerasequiv_settings, keras_twins):
    keras_twins(script({})).assert_same_summary()
    s = kerasequiv_settings
    print("SETTINGS", s.seeds, s.margin, s.alpha, s.engine, s.inconclusive, s.enabled)
    print("TIMEOUT", s.timeout)
"""


def test_command_line_is_read(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(SHOW_SETTINGS)
    options = ["--kerasequiv-seeds=7", "--kerasequiv-margin=10%", "--kerasequiv-alpha=0.01"]
    options += ["--kerasequiv-engine=fit", "--kerasequiv-inconclusive=warn"]
    result = scripted.runpytest("-s", *options)
    result.stdout.fnmatch_lines(["*SETTINGS 7 10% 0.01 fit warn False*"])


def test_ini_is_read_and_the_command_line_wins(scripted: pytest.Pytester) -> None:
    scripted.makeini(
        "[pytest]\nkerasequiv_seeds = 5\nkerasequiv_margin = 0.25\nkerasequiv_inconclusive = warn"
    )
    scripted.makepyfile(SHOW_SETTINGS)
    result = scripted.runpytest("-s", "--kerasequiv-seeds=9")
    result.stdout.fnmatch_lines(["*SETTINGS 9 0.25 None None warn False*"])


def test_nothing_given_leaves_all_open(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(SHOW_SETTINGS)
    result = scripted.runpytest("-s")
    result.stdout.fnmatch_lines(["*SETTINGS None None None None fail False*", "TIMEOUT None*"])


@pytest.mark.parametrize(
    ("option", "value", "remedy"),
    [
        ("seeds", "1", "at least 2"),
        ("seeds", "1" * 40, "at least 2"),
        ("seeds", "many", "whole number"),
        ("seeds", "9" * 17, "whole number"),
        ("margin", "5 percent", "10%"),
        ("margin", "0", "positive"),
        ("margin", "-1", "positive"),
        ("alpha", "2", "between 0 and 0.5"),
        ("timeout", "0", "no limit of time; give seconds"),
        ("timeout", "soon", "no limit of time; give seconds"),
        ("engine", "quick", "vectorized"),
        ("inconclusive", "ignore", "fail or warn"),
    ],
)
def test_bad_values_are_usage_errors(scripted: pytest.Pytester, option: str, value: str, remedy: str) -> None:
    scripted.makepyfile(SHOW_SETTINGS)
    result = scripted.runpytest(f"--kerasequiv-{option}={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    text = result.stderr.str()
    assert f"--kerasequiv-{option}" in text
    assert value in text
    assert remedy in text


@pytest.mark.parametrize("value", ["", " "], ids=["empty", "blank"])
@pytest.mark.parametrize(
    "option",
    ["seeds", "margin", "alpha", "engine", "inconclusive", "timeout", "report", "workers", "against"],
)
def test_an_empty_value_does_not_undo_the_ini_file(
    scripted: pytest.Pytester, option: str, value: str
) -> None:
    result = scripted.runpytest(f"--kerasequiv-{option}={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"*--kerasequiv-{option}: '{value}' is no value*give one, or leave the option out*"]
    )


def test_every_option_with_a_value_is_tried_empty() -> None:
    from pytest_kerasequiv.plugin.options import OPTIONS

    marks = test_an_empty_value_does_not_undo_the_ini_file.pytestmark  # type: ignore[attr-defined]
    assert set(OPTIONS) in [set(mark.args[1]) for mark in marks]


def test_an_empty_ini_value_is_not_set(scripted: pytest.Pytester) -> None:
    scripted.makeini("[pytest]\nkerasequiv_margin =\nkerasequiv_seeds =")
    scripted.makepyfile(SHOW_SETTINGS)
    scripted.runpytest("-s").stdout.fnmatch_lines(["*SETTINGS None None None None fail False*"])


def test_a_bad_ini_value_names_the_file(scripted: pytest.Pytester) -> None:
    scripted.makeini("[pytest]\nkerasequiv_alpha = tiny")
    result = scripted.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*kerasequiv_alpha in *tox.ini: alpha='tiny' is no error rate*"])


def test_header_is_one_line_and_only_when_enabled(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(SHOW_SETTINGS)
    assert "kerasequiv:" not in scripted.runpytest("--kerasequiv-seeds=3").stdout.str()
    text = scripted.runpytest("--kerasequiv", "--kerasequiv-seeds=3").stdout.str()
    assert text.count("kerasequiv: ") == 1
    assert "kerasequiv: repeated training on, seeds 3, INCONCLUSIVE fails" in text


def test_a_conftest_sets_defaults_for_its_folder_and_the_command_line_wins(scripted: pytest.Pytester) -> None:
    folder = scripted.mkpydir("folder")
    (folder / "conftest.py").write_text(
        "import pytest\n"
        "@pytest.fixture(scope='session')\n"
        "def kerasequiv_settings(kerasequiv_settings):\n"
        "    return kerasequiv_settings.with_defaults(seeds=4, margin='5%', rtol=0.5)\n"
    )
    (folder / "test_inner.py").write_text(
        "from scripted_checks import CALLS, plan, script\n"
        "def test_inner(keras_twins):\n"
        "    keras_twins(script({})).assert_same_training(plan(epochs=2))\n"
        "    name, options, pair = CALLS[-1]\n"
        "    told = options['training']\n"
        "    print('INNER', told.seeds, told.margin, told.epochs, pair.rtol)\n"
    )
    scripted.makepyfile(
        "def test_outer(keras_twins):\n"
        "    keras_twins(script({})).assert_same_training(plan(epochs=2))\n"
        "    name, options, pair = CALLS[-1]\n"
        "    told = options['training']\n"
        "    print('OUTER', told.seeds, told.margin, told.epochs, pair.rtol)\n"
    )
    text = scripted.runpytest("-s", "--kerasequiv", "--kerasequiv-margin=2").stdout.str()
    assert "INNER 4 2.0 2 0.5" in text
    assert "OUTER None 2.0 2 None" in text


def test_with_defaults_refuses_what_a_folder_cannot_set() -> None:
    from pytest_kerasequiv import InputError
    from pytest_kerasequiv.plugin.settings import Settings

    with pytest.raises(InputError, match=r"inconclusive='warn'.*choose from seeds"):
        Settings().with_defaults(inconclusive="warn")


def test_the_ini_file_runs_everything_too_also_in_plain_comparisons(scripted: pytest.Pytester) -> None:
    scripted.makepyfile(
        """
        def test_it(keras_twins):
            keras_twins(script({"program": "EQUIVALENT"})).assert_equivalent()
            compare(script({"program": "EQUIVALENT"}))
            print("RAN", len(CALLS))
        """
    )
    scripted.runpytest("-s").stdout.fnmatch_lines(["*RAN 8*"])
    scripted.makeini("[pytest]\nkerasequiv_all = true")
    scripted.runpytest("-s").stdout.fnmatch_lines(["*RAN 14*"])


def test_a_thousand_digits_are_a_usage_error(scripted: pytest.Pytester) -> None:
    result = scripted.runpytest(f"--kerasequiv-seeds={'9' * 5000}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert len(result.stderr.str()) < 500
