"""What two builders begin with: constants must be equal, the others drawn alike, and equal where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from pytest_kerasequiv import CheckResult, Verdict, compare
from pytest_kerasequiv.building import twins as building

Build = Callable[[], keras.Model]


def started(reference: Any, candidate: Any, **options: Any) -> CheckResult:
    return compare(reference, candidate, checks=["program", "weights"], **options)["weights"]


def net(
    *, swap: bool = False, units: int = 4, then: Callable[[Any], None] = lambda model: None, **settings: Any
) -> Build:
    """Two Dense layers made in either order, and what the builder does to the model."""

    def build() -> keras.Model:
        inputs = keras.Input((4,))
        made = {}
        for name in ("second", "first") if swap else ("first", "second"):
            made[name] = layers.Dense(units, name=name, **settings)
        model = keras.Model(inputs, made["second"](made["first"](inputs)), name="m")
        then(model)
        return model

    return build


def kernel(model: Any) -> Any:
    return model.get_layer("first").kernel


def scale(factor: float) -> Callable[[Any], None]:
    return lambda model: kernel(model).assign(kernel(model) * factor)


def fill_row(value: float) -> Callable[[Any], None]:
    def fill(model: Any) -> None:
        changed = kernel(model).numpy().copy()
        changed[1] = value
        kernel(model).assign(changed)

    return fill


def table(seed: int) -> Callable[[Any], None]:
    values = np.random.default_rng(seed).normal(size=(4, 4)).astype("float32")
    return lambda model: kernel(model).assign(values)


def bias(value: float) -> Callable[[Any], None]:
    return lambda model: model.get_layer("first").bias.assign([value] * 4)


@pytest.mark.parametrize(
    "then",
    [table(1), bias(0.5), scale(0.5), fill_row(0.0), lambda model: None],
    ids=["table", "bias", "scaled", "row", "nothing"],
)
def test_builders_that_do_the_same_start_alike(then: Any) -> None:
    result = started(net(then=then), net(then=then))
    assert result.verdict is Verdict.EQUIVALENT
    assert not result.findings


@pytest.mark.parametrize(
    ("reference", "candidate", "words"),
    [
        (table(1), table(2), "no seed moves them"),
        (table(1), lambda model: None, "drawn anew under each seed"),
        (lambda model: None, table(1), "drawn anew under each seed"),
        (bias(0.5), bias(0.25), "no seed moves them"),
        (bias(0.5), lambda model: None, "no seed moves them"),
        (scale(0.5), lambda model: None, "to 0.5 x in the reference, to 1 x in the candidate"),
        (scale(0.5), scale(0.25), "to 0.5 x in the reference, to 0.25 x in the candidate"),
        (fill_row(0.0), lambda model: None, "is set in part"),
        (fill_row(0.0), fill_row(1.0), "no seed moves"),
    ],
)
def test_what_a_builder_loads_or_sets_belongs_to_its_model(
    reference: Any, candidate: Any, words: str
) -> None:
    result = started(net(then=reference), net(then=candidate))
    (finding,) = result.differences
    assert words in finding.message
    assert (finding.reference_layer, finding.candidate_layer) == ("m/first", "m/first")


@pytest.mark.parametrize("seed", [building.BUILD_SEED, building.OTHER_SEED])
def test_loaded_weights_that_were_drawn_under_the_seed_of_the_build_are_constants(
    seed: int, tmp_path: Path
) -> None:
    keras.utils.set_random_seed(seed)
    path = tmp_path / "model.weights.h5"
    with_fresh_names = net()()
    with_fresh_names.save_weights(path)
    result = started(net(then=lambda model: model.load_weights(path)), net())
    assert {finding.field for finding in result.differences} == {"kernel"}
    assert "loads or sets" in result.differences[0].message


def test_constants_under_an_explicit_copy_are_a_note() -> None:
    result = started(net(then=table(1)), net(then=table(2)), weights="copy")
    assert result.verdict is Verdict.EQUIVALENT
    assert "no seed moves them" in result.notes[0].message


def test_constants_may_differ_by_rounding() -> None:
    def halves(as_float64: bool) -> Callable[[Any], None]:
        steps = np.arange(16, dtype="float64" if as_float64 else "float32").reshape(4, 4)
        return lambda model: kernel(model).assign(np.sin(steps / 3).astype("float32"))

    assert started(net(then=halves(True)), net(then=halves(False))).verdict is Verdict.EQUIVALENT

    def small(value: float) -> Callable[[Any], None]:
        values = np.full((4, 4), 1e6, "float32")
        values[0, 0] = value
        return lambda model: kernel(model).assign(values)

    assert started(net(then=small(1e-3)), net(then=small(2e-3))).verdict is Verdict.DIFFERENT


def test_a_table_that_an_embedding_is_given() -> None:
    def build(seed: int) -> Build:
        values = np.random.default_rng(seed).normal(size=(5, 3))
        layer = lambda: layers.Embedding(5, 3, weights=[values], trainable=False)  # noqa: E731
        return lambda: keras.Sequential([keras.Input((2,), dtype="int32"), layer()])

    assert started(build(1), build(1)).verdict is Verdict.EQUIVALENT
    assert started(build(1), build(2)).verdict is Verdict.DIFFERENT


def test_a_window_that_is_a_weight() -> None:
    def build(window: str) -> Build:
        layer = lambda: layers.STFTSpectrogram(frame_length=16, frame_step=8, window=window)  # noqa: E731
        return lambda: keras.Sequential([keras.Input((64, 1)), layer()])

    assert started(build("hann"), build("hann")).verdict is Verdict.EQUIVALENT
    assert started(build("hann"), build("hamming")).verdict is Verdict.DIFFERENT


def test_the_order_of_drawing_is_a_note() -> None:
    result = started(net(), net(swap=True))
    assert result.verdict is Verdict.EQUIVALENT
    assert "initialisers agree" in result.notes[0].message


def redrawn(spread: float, backwards: bool = False) -> Callable[[Any], None]:
    def draw(model: Any) -> None:
        for name in ("second", "first") if backwards else ("first", "second"):
            changed = model.get_layer(name).kernel
            changed.assign(np.random.normal(scale=spread, size=changed.shape))  # noqa: NPY002 - as users do

    return draw


def test_what_builders_change_alike_after_drawing_in_another_order() -> None:
    result = started(net(then=scale(0.5)), net(swap=True, then=scale(0.5)))
    assert result.verdict is Verdict.EQUIVALENT
    result = started(net(then=scale(0.5)), net(swap=True, then=scale(0.25)))
    assert result.verdict is Verdict.DIFFERENT
    result = started(net(then=scale(0.5)), net(swap=True, then=scale(0.5), kernel_initializer="he_normal"))
    assert result.verdict is not Verdict.EQUIVALENT


def test_what_builders_draw_themselves_in_another_order_is_not_decided_unless_it_is_plain() -> None:
    result = started(net(then=redrawn(0.1)), net(then=redrawn(0.1, backwards=True)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "a builder changes what was drawn" in result.notes[0].message
    result = started(net(then=redrawn(0.1)), net(then=redrawn(9.0, backwards=True)))
    assert result.verdict is not Verdict.EQUIVALENT
    wide = [net(units=64, then=redrawn(spread, backwards=spread > 1)) for spread in (0.1, 9.0)]
    result = started(*wide)
    assert result.verdict is Verdict.DIFFERENT
    assert "both are drawn, but not alike" in result.differences[0].message


def test_only_what_may_hide_something_is_built_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(build: Build) -> tuple[Build, list[int]]:
        calls: list[int] = []

        def again() -> keras.Model:
            calls.append(1)
            return build()

        return again, calls

    for then, expected in ((lambda model: None, 1), (table(1), 1)):
        build, calls = counted(net(then=then))
        started(build, net(then=then))
        assert len(calls) == expected
    build, calls = counted(net(then=table(1)))
    started(build, net())
    assert len(calls) == 2


def glorot(seed: int | None = None) -> Any:
    return keras.initializers.GlorotUniform(seed=seed)


def two(one: Any, other: Any, *, then: Callable[[Any], None] = lambda model: None) -> Build:
    """Two Dense layers with one initialiser each."""

    def build() -> keras.Model:
        inputs = keras.Input((4,))
        made = one(), other()
        first, second = (layers.Dense(4, name=f"d{i}", kernel_initializer=made[i]) for i in (0, 1))
        model = keras.Model(inputs, second(first(inputs)), name="m")
        then(model)
        return model

    return build


def one_object(seed: int | None = None) -> Build:
    def build() -> keras.Model:
        made = glorot(seed)
        return two(lambda: made, lambda: made)()

    return build


def tied(model: Any) -> None:
    model.get_layer("d1").kernel.assign(model.get_layer("d0").kernel)


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (two(glorot, glorot), one_object()),
        (two(glorot, glorot), one_object(1)),
        (two(lambda: glorot(1), lambda: glorot(2)), two(lambda: glorot(1), lambda: glorot(1))),
        (two(glorot, glorot), two(glorot, glorot, then=tied)),
    ],
    ids=["one object", "one seeded object", "seeds 1, 2 against 1, 1", "copied by the builder"],
)
def test_weights_that_start_equal_on_one_side_only(reference: Build, candidate: Build) -> None:
    for pair, side in (((reference, candidate), "candidate"), ((candidate, reference), "reference")):
        result = started(*pair)
        assert result.verdict is Verdict.DIFFERENT
        found = next(one for one in result.differences if one.field == "start")
        assert f"start equal in the {side} only" in found.message
        assert "kernel of m/d0 and kernel of m/d1" in found.message


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (one_object(), one_object()),
        (one_object(1), one_object(2)),
        (one_object(1), two(lambda: glorot(2), lambda: glorot(2))),
        (one_object(), one_object(3)),
        (two(glorot, glorot, then=tied), one_object()),
        (two(lambda: glorot(1), lambda: glorot(2)), two(lambda: glorot(5), lambda: glorot(6))),
        (two(lambda: glorot(1), lambda: glorot(2)), two(glorot, glorot)),
    ],
)
def test_another_seed_of_initialisers_that_agree_is_a_note(reference: Build, candidate: Build) -> None:
    result = started(reference, candidate)
    assert not result.differences
    assert result.verdict is not Verdict.DIFFERENT


def test_seeds_of_initialisers_are_named() -> None:
    result = started(two(lambda: glorot(1), glorot), two(lambda: glorot(2), glorot))
    assert "seed 1 in the reference, seed 2 in the candidate" in result.notes[0].message


def noisy(*seeds: int | None) -> Build:
    def build() -> keras.Model:
        inputs = keras.Input((8,))
        return keras.Model(inputs, layers.Add()([layers.Dropout(0.5, seed=seed)(inputs) for seed in seeds]))

    return build


@pytest.mark.parametrize(
    ("reference", "candidate", "verdict"),
    [
        (noisy(7, 7), noisy(None, None), Verdict.DIFFERENT),
        (noisy(None, None), noisy(7, 7), Verdict.DIFFERENT),
        (noisy(7, 7), noisy(7, 8), Verdict.DIFFERENT),
        (noisy(7, 7), noisy(8, 8), Verdict.EQUIVALENT),
        (noisy(7, 8), noisy(None, None), Verdict.EQUIVALENT),
    ],
)
def test_draws_that_are_equal_on_one_side_only(reference: Build, candidate: Build, verdict: Verdict) -> None:
    report = compare(reference, candidate)
    assert report.verdict is verdict
    if verdict is Verdict.DIFFERENT:
        assert "draw the same random numbers" in report["weights"].differences[0].message


def test_seeds_that_nothing_is_drawn_from_do_not_count() -> None:
    def build(seed: int | None, rate: float) -> Build:
        def stacked() -> keras.Model:
            inputs = keras.Input((5, 3))
            first = layers.LSTM(3, seed=seed, dropout=rate, return_sequences=True)(inputs)
            return keras.Model(inputs, layers.LSTM(3, seed=seed, dropout=rate)(first))

        return stacked

    assert started(build(1, 0.0), build(None, 0.0)).verdict is Verdict.EQUIVALENT
    assert started(build(1, 0.5), build(None, 0.5)).verdict is Verdict.DIFFERENT


def test_an_own_initialiser_draws_alike_where_its_code_does() -> None:
    def own(spread: float) -> Callable[..., Any]:
        def draw(shape: Any, dtype: Any = None) -> Any:
            return np.random.normal(scale=spread, size=shape)  # noqa: NPY002 - as users write it

        return draw

    same = started(net(kernel_initializer=own(0.1)), net(swap=True, kernel_initializer=own(0.1)))
    assert same.verdict is Verdict.EQUIVALENT
    other = started(net(kernel_initializer=own(0.1)), net(swap=True, kernel_initializer=own(0.2)))
    assert other.verdict is Verdict.DIFFERENT


def test_an_own_variable_that_is_not_drawn() -> None:
    class Divisor(layers.Layer):
        def __init__(self, start: float) -> None:
            super().__init__()
            self.divisor = keras.Variable(np.full((1,), start, "float32"))

        def call(self, x: Any) -> Any:
            return x / self.divisor

    def build(start: float) -> Build:
        return lambda: keras.Sequential([keras.Input((4,)), Divisor(start)])

    assert started(build(2.0), build(2.0)).verdict is Verdict.EQUIVALENT
    assert started(build(2.0), build(3.0)).verdict is Verdict.DIFFERENT


def test_given_models_keep_what_weights_says() -> None:
    ours, theirs = net(then=table(1))(), net(then=table(2))()
    assert started(ours, theirs, weights="copy").verdict is Verdict.EQUIVALENT
    assert started(ours, theirs, weights="own").verdict is Verdict.DIFFERENT
