"""Reading the layer graph out of Keras: nested models inlined, calls in topological order."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras

from pytest_kerasequiv.keras_access.functional import (
    call_behind,
    calls_in,
    function_within,
    given_to,
    graph_of,
    is_layer,
)
from pytest_kerasequiv.keras_access.layers import held_layers, usual_attributes
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.layers.attribute_names import called, place_of
from pytest_kerasequiv.layers.configs import canonical, read_config
from pytest_kerasequiv.layers.layer_graph import INPUT_KIND, Edge, LayerGraph, LayerNode, NoLayerGraph
from pytest_kerasequiv.layers.masks import Masks
from pytest_kerasequiv.layers.own_code import function_label, is_opaque, own_label
from pytest_kerasequiv.layers.roles import roles_of
from pytest_kerasequiv.weights.variables import variables_of


def layer_graph(model: keras.Model) -> LayerGraph:
    """Read the layer graph of a built `Sequential` or functional model.

    Raises:
        NoLayerGraph: the model is subclassed with a ``call`` of its own, or was never built.
    """
    return read(model)[0]


def operations_of(model: keras.Model) -> tuple[Any, ...]:
    """Return the layer or operation behind each node of `layer_graph`, in its order.

    Raises:
        NoLayerGraph: as `layer_graph`.
    """
    return read(model)[1]


def read(model: keras.Model) -> tuple[LayerGraph, tuple[Any, ...]]:
    """Return the layer graph of a model and, for each node, the layer or operation behind it.

    Raises:
        NoLayerGraph: the model has none; the message says why.
    """
    function = graph_of(model)
    if function is None:
        raise NoLayerGraph(_why_not(model))
    return read_function(model, function)


def read_function(model: keras.Model, function: Any) -> tuple[LayerGraph, tuple[Any, ...]]:
    """Return the layer graph of a Keras function of a model, and what is behind each node."""
    reader = _Reader(model)
    inputs = [reader.add_input(tensor, model.name) for tensor in function.inputs]
    outputs = reader.walk(function, model.name, [(index, 0) for index in inputs], {})
    returned = [
        Edge(*made, slot=slot)
        for place, tensor in enumerate(outputs)
        for slot, made in ((f"{place}", tensor), (f"mask of {place}", reader.masks.of(tensor)))
        if made is not None
    ]
    graph = LayerGraph(
        name=model.name,
        nodes=tuple(reader.nodes),
        inputs=tuple(inputs),
        outputs=tuple(returned),
        trainable=bool(model.trainable),
    )
    return graph, tuple(reader.operations)


def _why_not(model: Any) -> str:
    kind = type(model).__name__
    if isinstance(model, keras.Sequential) and type(model).call is keras.Sequential.call:
        return f"{model.name!r} (Sequential) has no layer graph, since it was not built on symbolic inputs"
    return f"{model.name!r} ({kind}) is subclassed: its call() is Python code, so it has no layer graph"


class _Reader:
    """Collects the nodes of one model."""

    def __init__(self, model: Any) -> None:
        self.nodes: list[LayerNode] = []
        self.operations: list[Any] = []
        self._variables = {id(variable): index for index, variable in enumerate(variables_of(model))}
        self._layers: dict[int, int] = {}
        self._described: dict[int, dict[str, Any]] = {}
        self._conditions: dict[tuple[Any, ...], int] = {}
        self.masks = Masks(lambda tensor: self.nodes[tensor[0]].outputs[tensor[1]], self._add_condition)

    def add_input(self, tensor: Any, prefix: str) -> int:
        """Add the node of one model input and return its index."""
        layer = call_behind(tensor)[0]
        return self._add(layer, f"{prefix}/{layer.name}", (), {}, [tensor])

    def walk(
        self, function: Any, prefix: str, inputs: Sequence[Tensor], context: Mapping[str, Any]
    ) -> list[Tensor]:
        """Add the calls of ``function`` on the given tensors; return the tensors it gives back."""
        tensors: dict[int, Tensor] = {
            id(own): given for own, given in zip(function.inputs, inputs, strict=True)
        }
        for call in calls_in(function):
            if any(id(tensor) not in tensors for tensor in call.input_tensors):
                continue  # Keras skips such calls as well
            path = f"{prefix}/{call.operation.name}"
            given = self._call(call, path, tensors, context)
            tensors.update((id(own), made) for own, made in zip(call.outputs, given, strict=True))
        return [tensors[id(tensor)] for tensor in function.outputs]

    def _call(
        self, call: Any, path: str, tensors: Mapping[int, Tensor], context: Mapping[str, Any]
    ) -> list[Tensor]:
        edges, constants = arguments_of(call, tensors)
        inner = graph_of(call.operation)
        if inner is not None:
            return self._inline(inner, call, path, tensors, {**context, **_context(constants)})
        constants |= {name: value for name, value in context.items() if name in parameters_of(call.operation)}
        if not is_layer(call.operation):
            index = self._add_operation(call, path, edges, constants)
            return [(index, output) for output in range(len(call.outputs))]
        given = [(edge.slot, (edge.source, edge.output)) for edge in edges]
        masks = self.masks.read(call.operation, parameters_of(call.operation), given)
        edges += tuple(Edge(*mask, slot=slot) for slot, mask in masks)
        index = self._add(call.operation, path, edges, constants, call.outputs)
        made: list[tuple[int, int]] = [(index, output) for output in range(len(call.outputs))]
        given_mask = next(((edge.source, edge.output) for edge in edges if edge.slot == "mask"), None)
        self.masks.hand_on(call.operation, first_argument(call), tensors, given_mask, made)
        self.masks.forget(call.operation, given)
        return list(made)

    def _add_operation(
        self, call: Any, path: str, edges: tuple[Edge, ...], constants: Mapping[str, Any]
    ) -> int:
        """Add an operation; one that makes a condition (a mask) is added once, however often computed."""
        if any(tensor.dtype != "bool" for tensor in call.outputs):
            return self._add(call.operation, path, edges, constants, call.outputs)
        described = describe(call.operation)
        key = (described["kind"], repr(described["config"]), edges, repr(constants))
        if key not in self._conditions:
            self._conditions[key] = self._add(call.operation, path, edges, constants, call.outputs)
        return self._conditions[key]

    def _add_condition(self, call: Any, tensors: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
        edges, constants = arguments_of(call, tensors)
        return self._add_operation(call, call.operation.name, edges, constants), 0

    def _inline(
        self, inner: Any, call: Any, path: str, tensors: Mapping[int, Tensor], context: Mapping[str, Any]
    ) -> list[Tensor]:
        given = [None if tensor is None else tensors[id(tensor)] for tensor in given_to(inner, call)]
        cast = [self._converted(tensor, own, path) for tensor, own in zip(given, inner.inputs, strict=True)]
        return self.walk(inner, path, cast, context)

    def _converted(self, tensor: Tensor, own: Any, path: str) -> Tensor:
        """Return the tensor as a nested model sees it: cast to the dtype and rank that it declares."""
        if tensor is None:
            return None
        shape, dtype = self.nodes[tensor[0]].outputs[tensor[1]]
        if dtype == own.dtype and len(shape) == len(own.shape):
            return tensor
        spec = (tuple(own.shape), str(own.dtype))
        config = {"dtype": spec[1], "rank": len(spec[0])}
        edge = Edge(*tensor)
        self.nodes.append(LayerNode(path, "ConvertInput", config, (edge,), (spec,), home=len(self.nodes)))
        self.operations.append(None)
        converted = (len(self.nodes) - 1, 0)
        self.masks.pass_through(tensor, converted)
        return converted

    def _add(
        self,
        operation: Any,
        path: str,
        edges: tuple[Edge, ...],
        constants: Mapping[str, Any],
        outputs: Sequence[Any],
    ) -> int:
        if id(operation) not in self._described:
            self._layers[id(operation)] = len(self._layers)
            self._described[id(operation)] = self._describe(operation)
        node = LayerNode(
            path=path,
            inputs=edges,
            constants=constants,
            outputs=tuple((tuple(tensor.shape), str(tensor.dtype)) for tensor in outputs),
            layer=self._layers[id(operation)],
            home=len(self.nodes),
            **self._described[id(operation)],
        )
        self.nodes.append(node)
        self.operations.append(operation)
        return len(self.nodes) - 1

    def _describe(self, operation: Any) -> dict[str, Any]:
        roles = [
            (role, self._variables[id(v)]) for role, v in roles_of(operation) if id(v) in self._variables
        ]
        told = describe(operation)
        names = called([*told["config"], *(role for role, _ in roles)], operation)
        return {**told, "variables": tuple(roles), "aliases": names}


def _context(constants: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call arguments that a model hands on to the layers inside."""
    return {name: value for name, value in constants.items() if name == "training"}


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
    return isinstance(value, keras.KerasTensor)


def describe(operation: Any) -> dict[str, Any]:
    """Return kind, config, seeds and ``described`` of a layer or operation, as `LayerNode` has them."""
    if not is_layer(operation):
        return _describe_operation(operation)
    fields, seeds, described = read_config(operation)
    if function_within(operation) is not None:
        fields = {name: fields[name] for name in ("trainable", "dtype") if name in fields}
    fields |= _user_code(operation, fields)
    if not described:
        fields |= _attributes(operation, fields)
    if type(operation).__name__ == INPUT_KIND:
        fields.pop("trainable", None)
    return {
        "kind": type(operation).__name__,
        "config": fields,
        "seeds": seeds,
        "described": described and not is_opaque(fields),
    }


def _describe_operation(operation: Any) -> dict[str, Any]:
    """Operations are described by their public attributes; a function in one may hold layers of its own."""
    attributes = {k: v for k, v in vars(operation).items() if not k.startswith("_") and k != "name"}
    config = {name: canonical(value) for name, value in attributes.items()}
    if not is_keras(type(operation)):
        config["code"] = own_label(type(operation))
    return {
        "kind": f"ops.{type(operation).__name__}",
        "config": config,
        "seeds": {},
        "described": not is_opaque(config),
    }


def _user_code(layer: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a config leaves out where a layer, or one inside it, computes with code of the user's."""
    custom = not is_keras(type(layer))
    found = named_functions(layer, fields)
    if custom:
        found |= {"code": own_label(type(layer)), **_attributes(layer, fields)}
        if function_within(layer) is not None:
            found["graph"] = _graph_digest(layer)
    if "call" in vars(layer) and not is_keras(layer.call):
        found["call.code"] = own_label(layer.call)
    for place, inner in enumerate(held_layers(layer)):
        prefix = place_of(inner, place)
        if graph_of(inner) is not None:
            found[f"{prefix} graph"] = _graph_digest(inner)
        elif custom:
            own = describe(inner)
            found |= {f"{prefix}.{name}": value for name, value in own["config"].items()}
        else:
            found |= {
                f"{prefix}.{name}": value for name, value in _user_code(inner, read_config(inner)[0]).items()
            }
    return found


def named_functions(layer: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a digest of each function or object of the user's that the config only names."""
    found: dict[str, Any] = {}
    for name in fields:
        value = getattr(layer, name, getattr(layer, f"_{name}", None))
        if is_layer(value) or isinstance(value, type) or is_keras(value) or is_keras(type(value)):
            continue
        if hasattr(value, "get_config"):
            found[f"{name}.code"] = own_label(value)
        elif callable(value):
            found[name] = function_label(value)
    return found


def _graph_digest(model: Any) -> str:
    """Return a digest of the layer graph of a model inside a wrapper, without names and variables."""
    graph = read_function(model, function_within(model))[0]
    nodes = [(node.label, node.layer, node.inputs) for node in graph.nodes]
    return hashlib.sha256(repr((nodes, graph.outputs)).encode()).hexdigest()[:16]


def _attributes(layer: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain attributes of a user's layer: its config need not name all it computes with."""
    skipped = usual_attributes(type(layer)) | {"seed", *fields}
    own = {k: v for k, v in vars(layer).items() if not k.startswith("_self_") and k not in skipped}
    return {
        f"attribute {name}": canonical(value)
        for name, value in own.items()
        if value is not layer.name and (_is_plain(value) or _is_own_function(value))
    }


def _is_own_function(value: Any) -> bool:
    return callable(value) and not (is_layer(value) or isinstance(value, type))


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str) or type(value).__module__ == "numpy"
