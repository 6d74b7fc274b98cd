"""Whether a copy of a model is faithful: what its config leaves out is carried over, or it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras

from pytest_kerasequiv.building.reached import is_state
from pytest_kerasequiv.building.sameness import Copies, copied, is_data, same_data
from pytest_kerasequiv.building.steering import is_own_name, steering_attributes, steers_building
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.functional import calls_in, function_within, graph_of
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.weights.variables import variables_of

REMEDY = "pass a builder, a function that makes the model, instead of the model"

_HARMLESS = frozenset({"get_config", "from_config", "summary", "save", "save_weights", "load_weights"})
_WRAPPED_BY_KERAS = frozenset({"build", "quantize"})
_ABSENT = object()


@dataclass(frozen=True)
class Pair:
    """A layer, what it has become in the copy, and where it is in the model."""

    original: Any
    copy: Any
    path: str

    def refuse(self, what: str, remedy: str = REMEDY) -> InputError:
        """Return the error that says what a copy of the layer has otherwise."""
        role = "layer" if "/" in self.path else "the model"
        return InputError(
            f"{role} {self.path!r} ({type(self.original).__name__}) cannot be copied faithfully: {what}; "
            f"{remedy}"
        )

    @property
    def same_class(self) -> bool:
        """Whether the copy is of the same class, not the plain Keras class that computes alike."""
        return type(self.original) is type(self.copy)


def pair_layers(model: keras.Model, fresh: keras.Model) -> list[Pair]:
    """Return each layer of ``model`` at any depth with its copy, the model itself first.

    Raises:
        InputError: a layer has another class or number of layers in the copy.
    """
    return list(_pairs(model, fresh, model.name, set()))


def _pairs(original: Any, copy: Any, path: str, seen: set[int]) -> Iterator[Pair]:
    if id(original) in seen:
        return
    seen.add(id(original))
    pair = Pair(original, copy, path)
    if type(original) is not type(copy) and not _may_lose_its_class(original, copy):
        raise pair.refuse(f"made again from its get_config() it is a {type(copy).__name__}")
    yield pair
    mine, theirs = _layers_in(original), _layers_in(copy)
    if len(mine) != len(theirs):
        raise pair.refuse(
            f"it holds {len(mine)} layers ({', '.join(layer.name for layer in mine)}), made again from its "
            f"get_config() it holds {len(theirs)} ({', '.join(layer.name for layer in theirs)})"
        )
    for one, other in zip(mine, theirs, strict=True):
        yield from _pairs(one, other, f"{path}/{one.name}", seen)


def _layers_in(layer: Any) -> list[Any]:
    """Return the layers that a layer holds; of a functional model those in its graph, others do nothing."""
    found = layer._layers
    if graph_of(layer) is layer:
        found = [operation for operation in layer.operations if isinstance(operation, keras.Layer)]
    elif isinstance(layer, keras.Sequential):
        found = layer.layers  # without the InputLayer that a call may have added
    return list({id(each): each for each in found}.values())


def _may_lose_its_class(original: Any, copy: Any) -> bool:
    """Whether a plain Keras model computes as one of the user's class does: that changes no method of it."""
    if not is_keras(type(copy)) or not isinstance(original, type(copy)):
        return False
    return not overridden(type(original), type(copy))


def overridden(cls: type, keras_class: type) -> list[str]:
    """Return the methods of a Keras class that the user's class ``cls`` has otherwise."""
    own = [base for base in cls.__mro__ if not is_keras(base) and issubclass(base, keras_class)]
    names = {name for base in own for name in vars(base) if hasattr(keras_class, name)}
    return sorted(n for n in names if n not in _HARMLESS and not (n.startswith("__") and n != "__call__"))


def carry_before_building(original: Any, copy: Any, *, within_own: bool = False) -> None:
    """Give a copy that is not built yet what steers how it is built, such as a number of units.

    Args:
        original: the layer.
        copy: what was made from its config.
        within_own: whether a layer of the user's holds it, whose config may leave out what it gives this one.
    """
    if type(original) is not type(copy):
        return
    own = within_own or not is_keras(type(original))
    for name, value in steering_attributes(original).items() if own else ():
        if is_data(value) and steers_building(original, name):
            _carry(original, copy, name, value)
    if len(original._layers) == len(copy._layers):
        for one, other in zip(original._layers, copy._layers, strict=True):
            carry_before_building(one, other, within_own=own)


def carry_flags(pairs: list[Pair], model: keras.Model, fresh: keras.Model) -> None:
    """Give the copy what variables and layers are told one by one: ``trainable``, regularizer, constraint."""
    for pair in pairs:
        for name in ("_trainable", "autocast", "_supports_masking", "supports_jit"):
            if name in vars(pair.original):
                vars(pair.copy)[name] = vars(pair.original)[name]
        _share(pair.original, pair.copy, "activity_regularizer")
    for variable, copy in zip(variables_of(model), variables_of(fresh), strict=True):
        copy.trainable = variable.trainable
        for name in ("regularizer", "constraint"):
            _share(variable, copy, name)


def _share(original: Any, copy: Any, name: str) -> None:
    """Give the copy an object of the original's where its own is another: these have no state."""
    one, other = (getattr(each, name, None) for each in (original, copy))
    if one is not other and not Copies([]).alike(one, other):
        setattr(copy, name, one)


def make_faithful(
    pairs: list[Pair], model: keras.Model, fresh: keras.Model, *, widened: bool = False
) -> None:
    """Carry over plain attributes that the configs leave out, and refuse a copy that still differs.

    Args:
        pairs: the layers, from `pair_layers`.
        model: the original.
        fresh: its copy, built.
        widened: whether the copy was made to compute in float64, so that dtypes differ as they should.

    Raises:
        InputError: a method is patched, or an object or function differs or reads the original's layers.
    """
    variables = zip(variables_of(model), variables_of(fresh), strict=True)
    copies = Copies([*((pair.original, pair.copy) for pair in pairs), *variables], widened=widened)
    for pair in pairs:
        _check_calls(pair, copies)
        if pair.same_class:  # else its methods, and so its attributes, steer nothing
            _check_methods(pair, copies)
            _check_reading(pair, copies)
            if not widened:
                _check_policy(pair)
            for name, value in steering_attributes(pair.original).items():
                _carry_or_refuse(pair, name, value, copies)


def _carry_or_refuse(pair: Pair, name: str, value: Any, copies: Copies) -> None:
    present = vars(pair.copy).get(name, _ABSENT)
    if copies.alike(value, present):
        return
    if is_data(value):
        _carry(pair.original, pair.copy, name, copies.as_wide(value, present))
    elif is_own_name(pair.original, name):
        lacks = "a copy does not have it" if present is _ABSENT else "a copy has another, or nothing can tell"
        raise pair.refuse(
            f"its attribute {name!r} does not come from its get_config(): {lacks}",
            f"return {name!r} from get_config, or {REMEDY}",
        )


def _carry(original: Any, copy: Any, name: str, value: Any) -> None:
    present = vars(copy).get(name, _ABSENT)
    if present is _ABSENT or (
        not same_data(value, present) if is_data(present) else is_own_name(original, name)
    ):
        setattr(copy, name, copied(value))


def _check_methods(pair: Pair, copies: Copies) -> None:
    for name, value in vars(pair.original).items():
        if name in _WRAPPED_BY_KERAS or not callable(value) or is_state(value):
            continue
        if callable(getattr(type(pair.original), name, None)) and not copies.alike(
            value, vars(pair.copy).get(name, _ABSENT)
        ):
            raise pair.refuse(f"its method {name!r} was replaced on the instance, which no config tells")


def _check_reading(pair: Pair, copies: Copies) -> None:
    """Refuse a copy that holds a function or container which reads the layers of the original."""
    for name in steering_attributes(pair.original):
        value = vars(pair.copy).get(name)
        read = None if is_data(value) or is_state(value) else copies.read_by(value)
        if read is not None:
            raise pair.refuse(
                f"its {name!r} reads {read.name!r}, so in a copy it would still read that of the original",
                f"pass that as an input of the call, or {REMEDY}",
            )


def _check_calls(pair: Pair, copies: Copies) -> None:
    """Refuse a graph in which a call is given a variable of the model: the copy is given the same one."""
    function = function_within(pair.original)
    for call in calls_in(function) if function is not None else ():
        for given in keras.tree.flatten((call.arguments.args, call.arguments.kwargs)):
            if isinstance(given, keras.Variable) and copies.owns(given):
                raise pair.refuse(
                    f"{call.operation.name!r} is called on the variable {given.path!r} itself, so in a copy "
                    "it would still read that of the original",
                    f"read it inside a layer, or {REMEDY}",
                )


def _check_policy(pair: Pair) -> None:
    one, other = (layer.dtype_policy for layer in (pair.original, pair.copy))
    if one.name != other.name:
        raise pair.refuse(
            f"its dtype policy is {one.name!r}, made again from its get_config() it is {other.name!r}",
            f"return 'dtype' from get_config, or {REMEDY}",
        )
