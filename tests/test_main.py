"""Two models compared from a shell."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_kerasequiv.__main__ import main

MODELS = """
import keras

def build(units=3, rate=0.2):
    layers = [keras.Input((4,)), keras.layers.Dense(units), keras.layers.Dropout(rate), keras.layers.Dense(2)]
    return keras.Sequential(layers)

def other():
    return build(rate=0.5)

def strange():
    import tensorflow as tf

    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Lambda(lambda t: t + tf.random.uniform(tf.shape(t)))(build()(x)))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "shell_models.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "shell_models", raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "status", "first"),
    [
        (["shell_models:build"], 0, "EQUIVALENT (proved): shell_models:build"),
        (["shell_models:build", "shell_models:other"], 1, "DIFFERENT (measured): shell_models:build-vs-"),
        (["shell_models:build", "shell_models:strange"], 2, "INCONCLUSIVE: shell_models:build-vs-"),
    ],
)
def test_the_exit_status_is_the_verdict(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, first: str
) -> None:
    assert main(arguments) == status
    assert capsys.readouterr().out.startswith(first)


def test_everything_runs_where_asked_and_the_report_is_written(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["shell_models:build", "--all", "--report", "out.json"]) == 0
    assert capsys.readouterr().out.endswith("written: out.json\n")
    report = json.loads((folder / "out.json").read_text())
    assert report["checks"]["outputs"]["figures"]["probes"]


def test_a_builder_is_compared_with_what_it_was_at_a_revision(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{name}_NAME", "A")
        monkeypatch.setenv(f"GIT_{name}_EMAIL", "a@b.c")
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "1"]):
        subprocess.run(["git", *command], cwd=folder, check=True)
    (folder / "shell_models.py").write_text(MODELS.replace("rate=0.2", "rate=0.4"))
    assert main(["shell_models:build", "--against", "HEAD"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith(
        "shell_models:build of the working tree with changes that are not committed against"
    )
    assert "rate is 0.2 in the reference and 0.4 in the candidate" in printed
    assert main(["shell_models:other", "--against", "HEAD"]) == 0
    assert main(["shell_models:build", "--against", "lost"]) == 3
    assert "'lost' is no commit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["shell_models:lost"], "error: reference='shell_models:lost': module"),
        (["shell_models:build", "gone.keras"], "error: candidate='gone.keras'"),
        (["shell_models:build", "--report", "out.txt"], "error: --report out.txt: a report is written as"),
        (
            ["shell_models:build", "--report", "gone/out.html"],
            "error: --report gone/out.html: the",
        ),
    ],
)
def test_bad_input_is_one_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(arguments) == 3
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize("arguments", [[], ["a", "b", "c"], ["--unknown", "a"]])
def test_a_misspelt_call_is_bad_input_too(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 3
    assert "usage: python -m pytest_kerasequiv" in capsys.readouterr().err
