"""Whether a copy of a model is faithful: what its config leaves out is carried over, or it is refused."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.functional import graph_of
from pytest_kerasequiv.keras_access.layers import carry_switches, held_layers, usual_attributes
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.weights.variables import variables_of

REMEDY = "pass a builder, a function that makes the model, instead of the model"

_HARMLESS = frozenset({"get_config", "from_config", "summary", "save", "save_weights", "load_weights"})
_WRAPPED_BY_KERAS = frozenset({"build", "quantize"})
_PLAIN = (bool, int, float, complex, str, bytes, slice, range, np.generic, np.dtype, tf.DType, type(None))
_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})
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

    def own_attributes(self) -> Iterator[tuple[str, Any, Any]]:
        """Yield name, value and the copy's value of each attribute that the user's class may act on."""
        if is_keras(type(self.original)) or not self.same_class:
            return
        usual = usual_attributes(type(self.original))
        for name, value in list(vars(self.original).items()):
            inherited = callable(getattr(type(self.original), name, None))
            if name not in usual and not inherited and not name.startswith(("_self_", "_kerasequiv")):
                yield name, value, vars(self.copy).get(name, _ABSENT)


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
    found = held_layers(layer)
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


def carry_attributes(pairs: list[Pair], *, widened: bool = False) -> None:
    """Give the copy the plain attributes of the user's layers that their configs leave out.

    Args:
        pairs: the layers, from `pair_layers`.
        widened: whether the copy computes in float64: floats are then carried in that dtype.
    """
    for pair in pairs:
        for name, value, present in pair.own_attributes():
            if _is_data(value) and not _same(value, present, widened=widened):
                setattr(pair.copy, name, _own(value, widened=widened))


def carry_flags(pairs: list[Pair], model: keras.Model, fresh: keras.Model) -> None:
    """Give the copy what variables and layers are told one by one: ``trainable``, regularizer, constraint."""
    for pair in pairs:
        carry_switches(pair.original, pair.copy)
        pair.copy.activity_regularizer = pair.original.activity_regularizer
    for variable, copy in zip(variables_of(model), variables_of(fresh), strict=True):
        copy.trainable = variable.trainable
        copy.regularizer, copy.constraint = variable.regularizer, variable.constraint


def refuse_unlike(pairs: list[Pair], *, widened: bool = False) -> None:
    """Refuse a copy in which a layer has other objects, functions or methods, or another dtype policy.

    Raises:
        InputError: there is one; the message names the layer and the attribute.
    """
    for pair in pairs:
        if pair.same_class:
            _refuse_patched(pair)
            _refuse_policy(pair, widened=widened)
            for name, value, present in pair.own_attributes():
                if not _is_data(value) and not _is_symbolic(value) and not _alike(value, present):
                    lacks = "a copy does not have it" if present is _ABSENT else "a copy has another"
                    raise pair.refuse(
                        f"its attribute {name!r} does not come from its get_config(): {lacks}",
                        f"return {name!r} from get_config, or {REMEDY}",
                    )


def _refuse_patched(pair: Pair) -> None:
    for name, value in vars(pair.original).items():
        method = callable(value) and callable(getattr(type(pair.original), name, None))
        if method and name not in _WRAPPED_BY_KERAS and not _alike(value, vars(pair.copy).get(name)):
            raise pair.refuse(f"its method {name!r} was replaced on the instance, which no config tells")


def _refuse_policy(pair: Pair, *, widened: bool) -> None:
    one, other = (layer.dtype_policy.name for layer in (pair.original, pair.copy))
    if one != other and not widened:
        raise pair.refuse(
            f"its dtype policy is {one!r}, made again from its get_config() it is {other!r}",
            f"return 'dtype' from get_config, or {REMEDY}",
        )


def _alike(one: Any, other: Any) -> bool:
    """Whether two objects are of one class, and functions among them of the same code."""
    if type(one) is not type(other):
        return False
    if isinstance(one, types.MethodType):
        return _alike(one.__func__, other.__func__)
    if isinstance(one, functools.partial):
        return _alike(one.func, other.func)
    return not isinstance(one, types.FunctionType) or one.__code__ is other.__code__


def _is_data(value: Any) -> bool:
    """Whether ``value`` is plain data at any depth: it can be compared, and given to another layer."""
    if isinstance(value, Mapping):
        return all(map(_is_data, value.values()))
    if isinstance(value, list | tuple | Set):
        return all(map(_is_data, value))
    return isinstance(value, _PLAIN) or _is_array(value)


def _is_array(value: Any) -> bool:
    eager = isinstance(value, tf.Tensor) and hasattr(value, "numpy")
    return eager or (isinstance(value, np.ndarray) and value.dtype != object)


def _is_symbolic(value: Any) -> bool:
    """Whether ``value`` is a tensor of a graph: what some call left behind, no setting."""
    return isinstance(value, keras.KerasTensor) or (isinstance(value, tf.Tensor) and not _is_array(value))


def _same(one: Any, other: Any, *, widened: bool) -> bool:
    """Whether two pieces of plain data are equal, with their types: 1 is neither ``True`` nor 1.0."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[k], other[k], widened=widened) for k in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        pairs = zip(one, other, strict=False)
        return len(one) == len(other) and all(_same(a, b, widened=widened) for a, b in pairs)
    if widened and isinstance(one, str) and one in _FLOATS:
        return other in _FLOATS
    if _is_array(one) and _is_array(other):
        ours, theirs = np.asarray(one), np.asarray(other)
        if widened and ours.dtype.kind == theirs.dtype.kind == "f":
            ours, theirs = ours.astype("float32"), theirs.astype("float32")
        return type(one) is type(other) and ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
    return type(one) is type(other) and bool(one == other)


def _own(value: Any, *, widened: bool) -> Any:
    """Return plain data of its own: containers without Keras's trackers, arrays that share no memory."""
    if isinstance(value, Mapping):
        return {key: _own(item, widened=widened) for key, item in value.items()}
    if isinstance(value, list | tuple | Set):
        items = [_own(item, widened=widened) for item in value]
        kind = next(kind for kind in (list, tuple, set, frozenset) if isinstance(value, kind))
        return type(value)(*items) if hasattr(value, "_fields") else kind(items)
    if not _is_array(value):
        return value
    dtype = "float64" if widened and str(np.asarray(value).dtype) in _FLOATS else None
    if isinstance(value, np.ndarray):
        return value.astype(dtype or value.dtype)
    return tf.cast(value, dtype) if dtype else value
