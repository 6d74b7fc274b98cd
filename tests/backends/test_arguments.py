"""What is refused before any other backend is needed."""

import importlib.util

import pytest
from tests.common.across_backends import clipped

from pytest_kerasequiv import InputError, Twins, compare
from pytest_kerasequiv.backends import backend_process


def test_an_unknown_backend_is_refused():
    with pytest.raises(InputError, match=r"backend='numpy' is unknown; choose from tensorflow, jax, torch"):
        Twins(clipped, backend="numpy")


def test_tensorflow_is_as_if_it_was_left_away():
    twins = Twins(clipped, backend="tensorflow")
    assert twins.backend is None
    assert twins.derived


@pytest.mark.parametrize(("backend", "name"), [("jax", "JAX"), ("torch", "PyTorch")])
def test_a_backend_that_is_missing_says_what_to_install(monkeypatch, backend, name):
    monkeypatch.setattr(backend_process, "_PROCESSES", {})
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda one, *_: None if one == backend else find(one))
    with pytest.raises(InputError) as caught:
        compare(clipped, backend=backend)
    assert str(caught.value) == (
        f"backend='{backend}' needs {name}, which is not installed here; install it: "
        f"pip install 'pytest-kerasequiv[{backend}]'"
    )


def test_there_is_no_model_of_the_candidate_here():
    with pytest.raises(InputError, match="candidate 'clipped on jax' runs in another process"):
        _ = Twins(clipped, backend="jax").candidate


def test_a_recording_cannot_be_the_reference(tmp_path):
    with pytest.raises(InputError, match="is a recording; pass the builder it was made of"):
        Twins(tmp_path / "known.kerasequiv", clipped, backend="jax")


def test_a_reference_without_a_shape_asks_for_one():
    from tests.common.across_backends import sequential

    with pytest.raises(InputError, match="pass input_shape="):
        _ = Twins(sequential, backend="jax").reference
