"""Random models over as many classes of `keras.layers` as possible: recipes, builders, what may change.

A `Recipe` is plain data: the kind of input, the layers with their arguments, how the model trains, what code
of the user's it has. `builder` makes a builder of it in one of several *forms*, which all are the same model.
`changes` lists the recipes that are another model by one value; `ground_truth` tells whether they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
from tests.common.own_code import OWN, optimizer, together, with_own_code
from tests.common.random_inputs import INPUTS, batch
from tests.common.random_layers import PARTS, Part

FORMS = ("functional", "sequential", "nested", "subclass", "reversed")
"""The ways in which one recipe is written down."""


@dataclass(frozen=True)
class Recipe:
    """A model as plain data; a layer is the index of its part and its arguments."""

    kind: str
    layers: tuple[tuple[int, tuple[tuple[str, Any], ...]], ...]
    loss: str = "mse"
    optimizer: tuple[str, float] = ("adam", 1e-3)
    own: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        told = [
            f"{PARTS[index].name}({', '.join(f'{k}={v!r}' for k, v in given)})"
            for index, given in self.layers
        ]
        own = "".join(f", {name} {value}" for name, value in self.own)
        return f"{self.kind}: {' -> '.join(told)}; {self.optimizer[0]}({self.optimizer[1]}), {self.loss}{own}"


def draw(choose: Callable[[Sequence[Any]], Any], length: int = 4) -> Recipe:
    """Return a recipe; ``choose`` picks one of a sequence."""
    first = kind = choose(list(INPUTS))
    drawn = []
    for _ in range(length):
        index = choose([i for i, part in enumerate(PARTS) if _fits(part, kind)])
        part = PARTS[index]
        drawn.append((index, tuple((name, choose(list(values))) for name, values in part.values.items())))
        kind = part.gives or kind
    trained_by = choose(["adam", "sgd", "rmsprop"]), choose([1e-3, 1e-2])
    names = sorted({choose([None, *OWN]), choose([None, *OWN])} - {None})
    own = tuple((name, choose(list(OWN[name].values))) for name in (names if together(names) else names[:1]))
    return Recipe(first, tuple(drawn), choose(["mse", "mae"]), trained_by, own)


def _fits(part: Part, kind: str) -> bool:
    return part.takes == kind or (part.takes == "any" and kind not in {"ids", "words", "text"})


def make_layers(recipe: Recipe) -> list[Any]:
    """Return new layers for a recipe."""
    return [PARTS[index].make(dict(given)) for index, given in recipe.layers]


def forms(recipe: Recipe) -> list[str]:
    """Return the forms in which a recipe is the same model, `functional` first.

    Keras hands the ``training`` that a layer goes by on to the layers called after it. A nested model takes
    it for its own, so that beside random preprocessing, which trains by default, it is another model when
    called plainly.
    """
    defaults = {_training_by_default(layer) for layer in make_layers(recipe)} - {None}
    return [form for form in FORMS if form != "nested" or len(defaults) < 2]


def _training_by_default(layer: Any) -> bool | None:
    """Return whether a layer trains where nothing tells; ``None`` where it does not ask."""
    takes = layer._call_signature.parameters.get("training")
    return None if takes is None else bool(takes.default)


class Stacked(keras.Model):
    """The layers of a recipe as a subclassed model, made attributes in a given order."""

    def __init__(self, made: Sequence[Any], order: Sequence[int]) -> None:
        super().__init__()
        for index in order:
            setattr(self, f"layer_{index}", made[index])
        self.count = len(made)

    def call(self, x: Any, training: bool | None = None) -> Any:
        """Run the layers one after the other; in ``model(x)`` each goes by its default, as in `_functional`.

        A None handed on would turn the default ``training=True`` of random preprocessing off.
        """
        for index in range(self.count):
            layer = getattr(self, f"layer_{index}")
            default = _training_by_default(layer)
            told = {} if default is None else {"training": default if training is None else training}
            x = layer(x, **told)
        return x


def builder(
    recipe: Recipe, form: str = "functional", make: Callable[[Recipe], list[Any]] = make_layers
) -> Callable[[], keras.Model]:
    """Return a builder of the compiled model of a recipe, in one of `FORMS`, of what ``make`` makes."""

    def build() -> keras.Model:
        own = dict(recipe.own)
        shape, dtype = INPUTS[recipe.kind]
        shape = (None, *shape[1:]) if "free_length" in own else shape
        made = make(recipe)
        model = _FORMS[form](made, shape, dtype)
        inputs = keras.Input(shape, dtype=dtype)
        model, compiled = with_own_code(model, made, own, recipe.loss, inputs)
        model.compile(optimizer(*recipe.optimizer, own), **compiled)
        return model

    build.__name__ = build.__qualname__ = form
    return build


def _functional(made: Sequence[Any], shape: tuple[int, ...], dtype: str) -> keras.Model:
    inputs = x = keras.Input(shape, dtype=dtype)
    for layer in made:
        x = layer(x)
    return keras.Model(inputs, x)


def _sequential(made: Sequence[Any], shape: tuple[int, ...], dtype: str) -> keras.Model:
    return keras.Sequential([keras.Input(shape, dtype=dtype), *made])


def _nested(made: Sequence[Any], shape: tuple[int, ...], dtype: str) -> keras.Model:
    inputs = x = keras.Input(shape, dtype=dtype)
    half = len(made) // 2
    for layer in made[:half]:
        x = layer(x)
    inner = y = keras.Input(x.shape[1:], dtype=x.dtype)
    for layer in made[half:]:
        y = layer(y)
    return keras.Model(inputs, keras.Model(inner, y)(x))


def _stacked(made: Sequence[Any], shape: tuple[int, ...], dtype: str) -> keras.Model:
    model = Stacked(made, range(len(made)))
    model(keras.Input(shape, dtype=dtype))
    return model


def _reversed(made: Sequence[Any], shape: tuple[int, ...], dtype: str) -> keras.Model:
    model = Stacked(made, range(len(made))[::-1])
    model(keras.Input(shape, dtype=dtype))
    return model


_FORMS: dict[str, Callable[[Sequence[Any], tuple[int, ...], str], keras.Model]] = {
    "functional": _functional,
    "sequential": _sequential,
    "nested": _nested,
    "subclass": _stacked,
    "reversed": _reversed,
}


@dataclass(frozen=True)
class Change:
    """One argument of one layer, or of the training, with another value.

    Attributes:
        what: the change in words.
        recipe: the recipe with that value.
        words: what a report that names the cause says: one of these.
        layer: name that Keras gives the layer; empty where the change is in no layer.
    """

    what: str
    recipe: Recipe
    words: tuple[str, ...]
    layer: str = ""


def changes(recipe: Recipe) -> Iterator[Change]:
    """Yield every recipe that is another one by one value."""
    for place, (index, given) in enumerate(recipe.layers):
        made = _snake(type(make_layers(recipe)[place]).__name__)
        for name, values in PARTS[index].values.items():
            for value in values:
                if value != dict(given)[name]:
                    others = tuple((k, value if k == name else v) for k, v in given)
                    changed = (*recipe.layers[:place], (index, others), *recipe.layers[place + 1 :])
                    what = f"{PARTS[index].name}.{name}={value!r}"
                    yield Change(what, replace(recipe, layers=changed), (name,), made)
    for place, (name, value) in enumerate(recipe.own):
        other = next(v for v in OWN[name].values if v != value)
        own = (*recipe.own[:place], (name, other), *recipe.own[place + 1 :])
        yield Change(f"own {name}={other}", replace(recipe, own=own), OWN[name].words)
    if not any(name.startswith("loss_") for name, _ in recipe.own):
        other = "mae" if recipe.loss == "mse" else "mse"
        yield Change(f"loss={other}", replace(recipe, loss=other), ("another loss", "loss differs"))
    name, rate = recipe.optimizer
    faster = replace(recipe, optimizer=(name, rate * 1.01))
    yield Change("learning rate", faster, ("learning_rate",))


def _snake(name: str) -> str:
    """Return the name that Keras gives a layer of a class."""
    parted = re.sub("([a-z])([A-Z])", r"\1_\2", re.sub("(.)([A-Z][a-z0-9]+)", r"\1_\2", name))
    return parted.lower()


def builds(recipe: Recipe) -> bool:
    """Whether Keras takes a recipe at all."""
    return runs(builder(recipe), recipe)


def runs(build: Callable[[], keras.Model], recipe: Recipe) -> bool:
    """Whether what a builder of a recipe makes takes a batch; some layers do in some forms only."""
    try:
        return bool(keras.ops.size(build()(batch(recipe.kind, 0))) > 0)
    except Exception:  # whatever Keras says to a random stack of layers
        return False
    finally:
        keras.backend.clear_session()
