"""Other people's errors in one line."""

from pytest_kerasequiv.errors import said


def test_colours_lines_and_keras_arguments_go():
    error = ValueError(
        "Exception in call.\n\n\x1b[1mNo such   layer.\x1b[0m\n\nArguments received by X.call():\n  a=1"
    )
    assert said(error) == "Exception in call. No such layer"


def test_long_texts_are_cut():
    assert said(ValueError("x" * 500), 10) == "x" * 10 + " ..."


def test_an_error_without_words():
    assert said(KeyError()) == ""
