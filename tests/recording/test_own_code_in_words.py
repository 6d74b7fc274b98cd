"""A recording keeps what own code says, so that another process can tell it apart in words."""

from __future__ import annotations

from pathlib import Path

import keras
import pytest

from pytest_kerasequiv import InputError, compare, record
from pytest_kerasequiv.layers import bytecode
from pytest_kerasequiv.recording import archive
from pytest_kerasequiv.recording.archive import Part
from pytest_kerasequiv.reporting.causes import account


def scaled_by(factor):
    def scale(x):
        return x * factor

    return scale


def doubled(x):
    y = x + 1.0
    return y * 2.0


def tripled(x):
    y = x + 1.0
    return y * 3.0


def nested_up(x):
    return keras.tree.map_structure(lambda part: part + 0.5, x)


def nested_down(x):
    return keras.tree.map_structure(lambda part: part - 0.5, x)


def model(function):
    def build() -> keras.Model:
        x = keras.Input((4,))
        return keras.Model(x, keras.layers.Lambda(function, output_shape=(4,), name="own")(x))

    return build


@pytest.fixture
def forget(monkeypatch: pytest.MonkeyPatch):
    """Make this process one that has seen none of the code so far, as the next one has not."""

    def now() -> None:
        bytecode.code_digest.cache_clear()
        monkeypatch.setattr(bytecode, "_SEEN", {})
        monkeypatch.setattr(bytecode, "_LEARNT", {})

    return now


@pytest.mark.parametrize(
    ("reference", "candidate", "told"),
    [
        (doubled, tripled, "`return y * 2.0` in the reference is `return y * 3.0` in the candidate"),
        (scaled_by(2.0), scaled_by(3.0), "factor is 2.0 in the reference and 3.0 in the candidate"),
        (nested_up, nested_down, "part + 0.5"),
    ],
)
def test_code_of_another_process_is_told_by_its_lines(
    reference, candidate, told: str, tmp_path: Path, forget
) -> None:
    path = record(model(reference), tmp_path / "own.kerasequiv")
    forget()
    (cause, *_) = account(compare(path, model(candidate))).causes
    assert told in cause.message
    assert "its code differs" not in cause.message


def test_code_in_another_form_is_refused(tmp_path: Path) -> None:
    path = record(model(doubled), tmp_path / "own.kerasequiv")
    held = archive.read(path)
    archive.write(path, archive.Archive(held.made, {**held.parts, "code": Part({"0" * 16: [["LOAD", 1]]})}))
    with pytest.raises(InputError, match="code is told in another form"):
        compare(path, model(doubled))


def test_code_of_keras_alone_keeps_none(tmp_path: Path) -> None:
    def plain() -> keras.Model:
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])

    assert "code" not in archive.read(record(plain, tmp_path / "plain.kerasequiv")).parts
