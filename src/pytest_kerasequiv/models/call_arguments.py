"""The arguments of a call: tensors by slot, and constants that are not the default."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_kerasequiv.models.configs import canonical
from pytest_kerasequiv.models.graph import Edge

Tensor = tuple[int, int] | None
"""A tensor by node and output; ``None`` for an optional input that is not given."""

_SIGNATURES: dict[type, inspect.Signature] = {}


def _signature(operation: Any) -> inspect.Signature:
    cls = type(operation)
    if cls not in _SIGNATURES:
        _SIGNATURES[cls] = inspect.signature(operation.call)
    return _SIGNATURES[cls]


def parameters_of(operation: Any) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of an operation's ``call``."""
    return _signature(operation).parameters


def arguments_of(call: Any, tensors: Mapping[int, Tensor]) -> tuple[tuple[Edge, ...], dict[str, Any]]:
    """Split the arguments of a call into the tensors it reads and the constants that are not the default."""
    signature = _signature(call.operation)
    arguments = signature.bind(*call.arguments.args, **call.arguments.kwargs).arguments
    edges: list[Edge] = []
    constants: dict[str, Any] = {}
    for name, value in arguments.items():
        parameter = signature.parameters[name]
        own: dict[str, Any] = {}
        for slot, part in _parts(name, value):
            if _is_symbolic(part):
                tensor = tensors[id(part)]
                edges += [Edge(*tensor, slot=slot)] if tensor is not None else []
            else:
                own[slot] = canonical(part)
        is_default = own == {name: canonical(parameter.default)}
        constants |= {} if is_default else own
    return tuple(edges), constants


def first_argument(call: Any) -> Any:
    """Return the first argument of a call, whose mask a layer hands on."""
    arguments = call.arguments
    return arguments.args[0] if arguments.args else next(iter(arguments.kwargs.values()))


def _parts(slot: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parts of a call argument that hold tensors, with their place; a plain value is one part."""
    if isinstance(value, list | tuple) and _holds_symbolic(value):
        for place, item in enumerate(value):
            yield from _parts(f"{slot}.{place}", item)
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _parts(f"{slot}.{key}", value[key])
    else:
        yield slot, value


def _holds_symbolic(values: Sequence[Any]) -> bool:
    return any(_holds_symbolic(v) if isinstance(v, list | tuple) else _is_symbolic(v) for v in values)


def _is_symbolic(value: Any) -> bool:
    import keras

    return isinstance(value, keras.KerasTensor)
