"""The user's own functions, classes and objects as plain data: code and values, to be compared in words."""

from __future__ import annotations

import enum
import functools
import hashlib
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import keras

from pytest_kerasequiv.keras_access.origin import is_keras, is_library
from pytest_kerasequiv.keras_access.random_state import fresh_names
from pytest_kerasequiv.layers.bytecode import code_digest, code_in_words, globals_read
from pytest_kerasequiv.layers.plain_values import array_label, is_array, is_plain, plain, shown

OPAQUE = "opaque:"
"""Begins what stands for an object that cannot be compared."""

OWN = "own code"
"""The class of a canonical value that describes code of the user's."""

CODE = "code"
"""Name of a digest of code, alone or after a dot."""

MOST_ENTRIES = 2000
"""How much of one object is described; what holds more is no setting, and is opaque."""

TOLD = 3
"""How many differences are told in words."""


def described(thing: Any) -> dict[str, Any]:
    """Return what a function, class or object computes with, flat and plain: equal data, equal behaviour.

    Keys are dotted: ``"code"`` (a digest), the names of closure values, defaults, bound arguments and the
    globals that are read (``"k"``), of attributes (``"scale"``), of what functions among these hold
    (``"helper.k"``), and of a class's members (``"call.code"``). Where something is defined and what it is
    called does not count. What cannot be compared is a text that begins with `OPAQUE`.
    """
    return Reader().read(thing)


def class_code(cls: type) -> dict[str, Any]:
    """Return the members of a class of the user's and of its bases, down to those of the libraries."""
    return Reader().read(cls)


def function_label(function: Any) -> dict[str, Any]:
    """Return the name of a function and, for the user's, what it computes with."""
    name = str(getattr(function, "__name__", type(function).__name__))
    return {"class": "function", "of": name} | ({} if is_keras(function) else described(function))


def own_label(thing: Any, without: Collection[str] = ()) -> dict[str, Any]:
    """Return what a function, class or object of the user's computes with, as a canonical value.

    Args:
        thing: the function, class or object.
        without: names of settings that are told elsewhere.
    """
    found = described(thing)
    return {"class": OWN, **{name: found[name] for name in found if name.lstrip("_") not in without}}


def digest(thing: Any) -> str:
    """Return a digest of `described`, marked with `OPAQUE` where something cannot be compared."""
    found = described(thing)
    content = hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest()[:16]
    return (OPAQUE if is_opaque(found) else "") + content


def is_opaque(label: Any) -> bool:
    """Tell whether a description leaves something out that the code depends on."""
    return OPAQUE in repr(label)


def own_name(thing: Any) -> str:
    """Return what a reader calls a function, class or object: ``ignoring.masked``, ``Unweighted``."""
    while isinstance(thing, functools.partial):
        thing = thing.func
    named = thing if hasattr(thing, "__qualname__") else type(thing)
    parts = [part for part in named.__qualname__.split(".") if part != "<locals>"]
    return ".".join(parts[-2:]) if isinstance(named, types.FunctionType | types.MethodType) else parts[-1]


def differences_in_words(reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> list[str]:
    """Say in which values and lines of code two descriptions differ: ``"k is 3 in the reference ..."``."""
    names = [name for name in {**reference, **candidate} if reference.get(name) != candidate.get(name)]
    code = [name for name in names if _is_code(name)]
    both = [name for name in names if name in reference and name in candidate and name not in code]
    one_sided = [name for name in names if name not in both and name not in code]
    told = [*code, *both] if code else [*both, *one_sided]  # what one side's code reads follows from it
    return [_in_words(name, reference, candidate) for name in told[:TOLD]]


def _in_words(name: str, reference: Mapping[str, Any], candidate: Mapping[str, Any]) -> str:
    ours, theirs = reference.get(name), candidate.get(name)
    owner = name.removesuffix(CODE).removesuffix(".")
    if _is_code(name) and isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return "; ".join(f"{owner}.{words}".lstrip(".") for words in differences_in_words(ours, theirs))
    if _is_code(name) and isinstance(ours, str) and isinstance(theirs, str):
        words = code_in_words(ours, theirs)
        return f"{owner}: {words}" if owner else words
    if _is_code(name):
        side = "reference" if name in reference else "candidate"
        return f"only the {side} has {owner or 'code of its own'}"
    told = [shown(side[name]) if name in side else "not there" for side in (reference, candidate)]
    return f"{name or 'it'} is {told[0]} in the reference and {told[1]} in the candidate"


def _is_code(name: str) -> bool:
    return name == CODE or name.endswith(f".{CODE}")


class Reader:
    """Describes one thing and what it holds, see `described`; remembers what it is within, and has told."""

    def __init__(self) -> None:
        self._within: list[Any] = []
        self._entries = 0

    def read(self, thing: Any) -> dict[str, Any]:
        """Return the flat description; under the key ``""`` where it is one value."""
        if is_plain(thing):
            return {"": plain(thing)}
        if any(thing is outer for outer in self._within):
            return {"": "itself"}
        if self._entries > MOST_ENTRIES or len(self._within) > 40:
            return {"": f"{OPAQUE}more than is compared"}
        self._within.append(thing)
        try:
            found = self._read(thing)
        finally:
            self._within.pop()
        self._entries += len(found)
        return found

    def _read(self, thing: Any) -> dict[str, Any]:
        if is_array(thing):
            return {"": self._array(thing)}
        if isinstance(thing, Mapping):
            return self._named((str(key), thing[key]) for key in sorted(thing, key=repr))
        if isinstance(thing, list | tuple | set | frozenset):
            items = thing if isinstance(thing, list | tuple) else sorted(thing, key=repr)
            return {"": f"{len(items)} items"} | self._named((f"[{i}]", item) for i, item in enumerate(items))
        if isinstance(thing, type):
            return {"": _library_name(thing)} if is_library(thing) else self._class(thing)
        if isinstance(thing, types.ModuleType):
            return {"": thing.__name__ if is_library(thing) else "a module"}
        return self._callable(thing) or self._object(thing)

    def _array(self, thing: Any) -> Any:
        return array_label(thing)

    def _named(self, values: Any) -> dict[str, Any]:
        """Describe each of several named values, its name before the names within."""
        found: dict[str, Any] = {}
        for name, value in values:
            for inner, content in self.read(value).items():
                found[name if not inner else inner if not name else f"{name}.{inner}"] = content
        return found

    def _callable(self, thing: Any) -> dict[str, Any]:
        """Describe a function or what stands for one; nothing where it is another kind of object."""
        if isinstance(thing, staticmethod | classmethod):
            return self.read(thing.__func__)
        if isinstance(thing, property):
            return self._named((n, f) for n, f in (("", thing.fget), ("setter", thing.fset)) if f is not None)
        if isinstance(thing, types.MethodType):
            return self._named([("", thing.__func__), ("self", thing.__self__)])
        if isinstance(thing, functools.partial):
            return self._named([("", thing.func), *_bound(thing)])
        inner = getattr(thing, "python_function", None) or getattr(thing, "__wrapped__", None)
        if isinstance(thing, types.FunctionType) and not is_library(thing):
            return self._function(thing)
        if callable(inner):  # tf.function, functools.cache, jax.jit
            return self.read(inner)
        if callable(thing) and isinstance(getattr(thing, "__qualname__", None), str):
            return {"": _library_name(thing)}
        return {}

    def _function(self, function: types.FunctionType) -> dict[str, Any]:
        code = function.__code__
        positional = code.co_varnames[: code.co_argcount]
        given = function.__defaults__ or ()
        values = [*zip(positional[len(positional) - len(given) :], given, strict=True)]
        values += (function.__kwdefaults__ or {}).items()
        values += ((n, v) for n, v in vars(function).items() if not n.endswith("__"))  # TensorFlow's marks
        cells = zip(code.co_freevars, function.__closure__ or (), strict=True)
        values += [(name, _content(cell)) for name, cell in cells if name != "__class__"]
        known = {name for name, _ in values}
        found = {CODE: code_digest(code)} | self._named(values)
        read = [name for name in globals_read(code) if name in function.__globals__ and name not in known]
        for name, content in self._named((n, self._global(function, n)) for n in read).items():
            # a global that cannot be compared is one object of its module: its name stands for it
            found[name] = "a global" if is_opaque(content) else content
        return found

    def _global(self, function: types.FunctionType, name: str) -> Any:
        """Return a global; of a module of the user's, what of it the function's code may name."""
        value = function.__globals__[name]
        if not isinstance(value, types.ModuleType) or is_library(value):
            return value
        return {used: vars(value)[used] for used in _names(function.__code__) if used in vars(value)}

    def _class(self, cls: type) -> dict[str, Any]:
        found: dict[str, Any] = {}
        own = [base for base in cls.__mro__ if not is_library(base)]
        for base in own:
            for name, member in sorted(vars(base).items()):
                if _is_member(name, member):
                    place = (
                        f"inherited {name}" if any(name in vars(b) for b in own[: own.index(base)]) else name
                    )
                    found |= self._named([(place, member)])
        found["built on"] = next((_library_name(base) for base in cls.__mro__ if is_library(base)), "object")
        return found

    def _object(self, thing: Any) -> dict[str, Any]:
        cls = type(thing)
        if isinstance(thing, enum.Enum):
            return {"": str(thing)}
        found = {"built on": _library_name(cls)} if is_library(cls) else self._class(cls)
        if _configured(thing):
            return found | self._keras_object(thing)
        state = _state(thing)
        if state is None:
            return found | {"": f"{OPAQUE}{cls.__qualname__}"}
        return found | self._named(state)

    def _keras_object(self, thing: Any) -> dict[str, Any]:
        """Describe one of Keras's kinds of objects by its config and by what its class adds to it."""
        try:
            config = thing.get_config()
        except Exception:  # one of the user's that does not tell: its attributes do
            config = {}
        if isinstance(thing, keras.Layer):
            variables = {"weights": f"{OPAQUE}weights"} if thing.variables else {}
            return {"config": plain(_without_names(config)), **variables}
        settings = {name: value for name, value in config.items() if name not in {"name", "fn", "dtype"}}
        return self._named({**settings, **own_attributes(thing)}.items())


def own_attributes(thing: Any) -> dict[str, Any]:
    """Return the attributes of one of Keras's kinds of objects that not every object of its kind has.

    Variables are left out where they are its state: weights, slots, totals.
    """
    usual = _usual_attributes(next(kind for kind in _KINDS if isinstance(thing, kind)))
    stateful = not isinstance(thing, keras.losses.Loss)
    return {
        name: value
        for name, value in vars(thing).items()
        if name not in usual
        and not name.startswith(("_self_", "_tracker"))
        and not (stateful and _holds_variables(value))
    }


_KINDS: tuple[type, ...] = (
    keras.losses.Loss,
    keras.metrics.Metric,
    keras.optimizers.Optimizer,
    keras.optimizers.schedules.LearningRateSchedule,
    keras.initializers.Initializer,
    keras.regularizers.Regularizer,
    keras.constraints.Constraint,
    keras.random.SeedGenerator,
    keras.Layer,
)


@functools.cache
def _usual_attributes(kind: type) -> frozenset[str]:
    with fresh_names():
        made = keras.optimizers.Adam() if kind is keras.optimizers.Optimizer else object.__new__(kind)
        if kind in {keras.losses.Loss, keras.metrics.Metric, keras.Layer}:
            made = kind()
    return frozenset(vars(made)) | {"_distribution_strategy", "_fn", "fn", "_dtype", "built", "name"}


def _configured(thing: Any) -> bool:
    return isinstance(thing, _KINDS) and hasattr(thing, "get_config")


def _holds_variables(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_holds_variables, value))
    return hasattr(value, "assign") and hasattr(value, "shape")


def _without_names(config: Any) -> Any:
    if isinstance(config, Mapping):
        return {
            k: _without_names(v) for k, v in config.items() if k not in {"name", "build_config", "module"}
        }
    return list(map(_without_names, config)) if isinstance(config, list | tuple) else config


def _bound(partial: functools.partial[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the arguments that a partial binds, positional ones by the function's names for them."""
    code = getattr(partial.func, "__code__", None)
    names: Sequence[str] = code.co_varnames[: code.co_argcount] if code else ()
    for place, value in enumerate(partial.args):
        yield (names[place] if place < len(names) else f"argument {place}"), value
    yield from partial.keywords.items()


def _state(thing: Any) -> list[tuple[str, Any]] | None:
    """Return the attributes of an object, or what copying it would carry; ``None`` where neither tells."""
    slots = [name for base in type(thing).__mro__ for name in _slots(base) if hasattr(thing, name)]
    if hasattr(thing, "__dict__") or slots:
        return [(name, getattr(thing, name)) for name in slots] + sorted(
            getattr(thing, "__dict__", {}).items()
        )
    text = repr(thing)
    if " at 0x" not in text:
        return [("", text)]
    return carried(thing) or None


def carried(thing: Any) -> list[tuple[str, Any]]:
    """Return what copying an object would carry; nothing where that is not told."""
    try:
        _, arguments, *more = thing.__reduce_ex__(4)
    except Exception:  # what cannot be copied does not tell what it is
        return []
    told = [part for part in arguments if not isinstance(part, type)]
    told += [part for part in more if part is not None and not hasattr(part, "__next__")]
    return [(f"state {i}", part) for i, part in enumerate(told)]


def _slots(base: type) -> Sequence[str]:
    slots = vars(base).get("__slots__", ())
    return [slots] if isinstance(slots, str) else list(slots)


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # an empty cell: a name that is not bound yet
        return None


_FUNCTIONS = (types.FunctionType, classmethod, staticmethod, property)


def _is_member(name: str, member: Any) -> bool:
    """Tell whether an attribute of a class is code or a value of the user's, not what Python adds."""
    if name.startswith("__"):
        return isinstance(member, _FUNCTIONS) and not name.startswith("__annotate")
    return name != "_abc_impl" and not isinstance(member, types.MemberDescriptorType)


def _names(code: types.CodeType) -> set[str]:
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _library_name(thing: Any) -> str:
    return f"{getattr(thing, '__module__', None) or ''}.{thing.__qualname__}".lstrip(".")
