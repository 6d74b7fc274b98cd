"""Pairing variables where neither program nor layer graph tells: by path, shape, dtype and order."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_kerasequiv.correspondence.assigning import assign_variables, path_likeness


@dataclass(eq=False)
class Variable:
    path: str
    shape: tuple[int, ...] = (2,)
    dtype: str = "float32"

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


def test_numbers_of_repeated_names_do_not_count() -> None:
    assert path_likeness("model/dense_3/kernel", "model/dense_12/kernel") == 1.0
    assert path_likeness("model/dense/kernel", "model/conv/kernel") < 1.0


def test_assignment_by_path_whatever_the_order() -> None:
    ours = [Variable("m/first/kernel"), Variable("m/second/kernel"), Variable("m/second/bias")]
    theirs = [Variable("n/second/bias"), Variable("n/second/kernel"), Variable("n/first/kernel")]
    pairs, ambiguous = assign_variables(ours, theirs)
    assert pairs == ((0, 2), (1, 1), (2, 0))
    assert not ambiguous


def test_assignment_keeps_shape_dtype_and_name_apart() -> None:
    ours = [Variable("m/a/kernel"), Variable("m/b/kernel", (3,)), Variable("m/c/kernel", (2,), "float16")]
    theirs = [Variable("m/c/kernel", (2,), "float16"), Variable("m/a/bias"), Variable("m/b/kernel", (3,))]
    assert assign_variables(ours, theirs)[0] == ((1, 2), (2, 0))


def test_assignment_that_paths_do_not_decide_is_ambiguous() -> None:
    ours = [Variable("m/a/kernel"), Variable("m/b/kernel")]
    theirs = [Variable("m/x/kernel"), Variable("m/y/kernel")]
    pairs, ambiguous = assign_variables(ours, theirs)
    assert pairs == ((0, 0), (1, 1)), "in order, where nothing else tells"
    assert ambiguous == ((((0,), (1,)), ((0,), (1,))),)
