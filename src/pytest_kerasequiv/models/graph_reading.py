"""Reading the layer graph out of Keras: nested models inlined, calls in topological order."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.models.configs import canonical, fields_of
from pytest_kerasequiv.models.fingerprints import class_digest, function_label, is_keras
from pytest_kerasequiv.models.graph import INPUT_KIND, Edge, LayerGraph, LayerNode, NoLayerGraph
from pytest_kerasequiv.models.masks import Masks
from pytest_kerasequiv.models.roles import roles_of
from pytest_kerasequiv.models.variables import variables_of

if TYPE_CHECKING:
    import keras

Tensor = tuple[int, int] | None
"""A tensor by node and output; ``None`` for an optional input that is not given."""


def read(model: keras.Model) -> tuple[LayerGraph, tuple[Any, ...]]:
    """Return the layer graph of a model and, for each node, the layer or operation behind it.

    Raises:
        NoLayerGraph: the model has none; the message says why.
    """
    function = graph_of(model)
    if function is None:
        raise NoLayerGraph(_why_not(model))
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


def graph_of(layer: Any) -> Any:
    """Return the Keras function behind a `Sequential` or functional model; ``None`` for any other layer.

    A subclass with a ``call`` of its own computes what that says, not what its graph says, and has none.
    """
    import keras
    from keras.src.models.functional import Functional

    if isinstance(layer, keras.Sequential):
        return layer._functional if type(layer).call is keras.Sequential.call else None
    if isinstance(layer, Functional):
        return layer if type(layer).call is Functional.call else None
    return None


def _why_not(model: Any) -> str:
    import keras

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
        layer = tensor._keras_history.operation
        return self._add(layer, f"{prefix}/{layer.name}", (), {}, [tensor])

    def walk(
        self, function: Any, prefix: str, inputs: Sequence[Tensor], context: Mapping[str, Any]
    ) -> list[Tensor]:
        """Add the calls of ``function`` on the given tensors; return the tensors it gives back."""
        tensors: dict[int, Tensor] = {
            id(own): given for own, given in zip(function.inputs, inputs, strict=True)
        }
        for call in _calls(function):
            if any(id(tensor) not in tensors for tensor in call.input_tensors):
                continue  # Keras skips such calls as well
            path = f"{prefix}/{call.operation.name}"
            given = self._call(call, path, tensors, context)
            tensors.update((id(own), made) for own, made in zip(call.outputs, given, strict=True))
        return [tensors[id(tensor)] for tensor in function.outputs]

    def _call(
        self, call: Any, path: str, tensors: Mapping[int, Tensor], context: Mapping[str, Any]
    ) -> list[Tensor]:
        edges, constants = _arguments(call, tensors)
        inner = graph_of(call.operation)
        if inner is not None:
            return self._inline(inner, call, path, tensors, {**context, **_context(constants)})
        constants |= {name: value for name, value in context.items() if name in _parameters(call.operation)}
        if not _is_layer(call.operation):
            index = self._add_operation(call, path, edges, constants)
            return [(index, output) for output in range(len(call.outputs))]
        given = [(edge.slot, (edge.source, edge.output)) for edge in edges]
        masks = self.masks.read(call.operation, _parameters(call.operation), given)
        edges += tuple(Edge(*mask, slot=slot) for slot, mask in masks)
        index = self._add(call.operation, path, edges, constants, call.outputs)
        made: list[tuple[int, int]] = [(index, output) for output in range(len(call.outputs))]
        given_mask = next(((edge.source, edge.output) for edge in edges if edge.slot == "mask"), None)
        self.masks.hand_on(call.operation, _first(call), tensors, given_mask, made)
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
        edges, constants = _arguments(call, tensors)
        return self._add_operation(call, call.operation.name, edges, constants), 0

    def _inline(
        self, inner: Any, call: Any, path: str, tensors: Mapping[int, Tensor], context: Mapping[str, Any]
    ) -> list[Tensor]:
        given = [None if tensor is None else tensors[id(tensor)] for tensor in _given(inner, call)]
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
        return {**describe(operation), "variables": tuple(roles)}


def describe(operation: Any) -> dict[str, Any]:
    """Return kind, config, seeds and ``described`` of a layer or operation, as `LayerNode` has them."""
    if not _is_layer(operation):
        attributes = {k: v for k, v in vars(operation).items() if not k.startswith("_") and k != "name"}
        return {"kind": f"ops.{type(operation).__name__}", "config": canonical(attributes), "seeds": {}}
    fields, seeds, described = _config(operation)
    fields |= _user_code(operation, fields)
    if type(operation).__name__ == INPUT_KIND:
        fields.pop("trainable", None)
    return {
        "kind": type(operation).__name__,
        "config": fields,
        "seeds": seeds,
        "described": described,
    }


def _user_code(layer: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a config leaves out where a layer, or one inside it, computes with the user's code."""
    custom = not is_keras(type(layer))
    found = _functions(layer, fields)
    if custom:
        found |= {"code": class_digest(type(layer)), **_attributes(layer, fields)}
    for place, inner in enumerate(getattr(layer, "_layers", ())):
        prefix = f"{type(inner).__name__}[{place}]"
        if graph_of(inner) is not None:
            found[f"{prefix} graph"] = _graph_digest(inner)
        elif custom:
            own = describe(inner)
            found |= {f"{prefix}.{name}": value for name, value in own["config"].items()}
        else:
            found |= {
                f"{prefix}.{name}": value for name, value in _user_code(inner, _config(inner)[0]).items()
            }
    return found


def _functions(layer: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return a digest of each function or object of the user's that the config only names."""
    found: dict[str, Any] = {}
    for name in fields:
        value = getattr(layer, name, getattr(layer, f"_{name}", None))
        if inspect.isfunction(value) and not is_keras(value):
            found[name] = function_label(value)
        elif hasattr(value, "get_config") and not is_keras(type(value)) and not _is_layer(value):
            found[f"{name}.code"] = class_digest(type(value))
    return found


def _graph_digest(model: Any) -> str:
    """Return a digest of the layer graph of a model inside a wrapper, without names and variables."""
    graph = read(model)[0]
    nodes = [(node.label, node.layer, node.inputs) for node in graph.nodes]
    return hashlib.sha256(repr((nodes, graph.outputs)).encode()).hexdigest()[:16]


def _config(layer: Any) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """Return the fields and seeds of a layer, and whether its configuration could be read."""
    try:
        return *fields_of(layer.get_config()), True
    except NotImplementedError:
        return {}, {}, False


def _attributes(layer: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plain public attributes of a user's layer: its config need not name all it computes with."""
    skipped = {"name", "built", "autocast", "supports_masking", "seed", *fields}
    return {
        f"attribute {name}": canonical(value)
        for name, value in vars(layer).items()
        if not name.startswith("_") and name not in skipped and _is_plain(value)
    }


def _is_plain(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, bool | int | float | str) or type(value).__module__ == "numpy"


def _calls(function: Any) -> Iterator[Any]:
    """Yield the calls of a Keras function in the order in which it runs them."""
    by_depth = function._nodes_by_depth
    for depth in sorted(by_depth, reverse=True):
        yield from (call for call in by_depth[depth] if call.operation and not call.is_input)


def _given(inner: Any, call: Any) -> list[Any]:
    """Return the tensors that a nested model is called on, in the order of its inputs."""
    from keras import tree

    given = call.arguments.args[0] if call.arguments.args else call.arguments.kwargs["inputs"]
    if isinstance(given, dict) and not isinstance(inner._inputs_struct, dict):
        return [given[tensor.name] for tensor in inner.inputs]
    return list(tree.flatten(given))


def _first(call: Any) -> Any:
    """Return the first argument of a call, whose mask a layer hands on."""
    arguments = call.arguments
    return arguments.args[0] if arguments.args else next(iter(arguments.kwargs.values()))


def _is_layer(operation: Any) -> bool:
    import keras

    return isinstance(operation, keras.layers.Layer)


def _context(constants: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call arguments that a model hands on to the layers inside."""
    return {name: value for name, value in constants.items() if name == "training"}


_SIGNATURES: dict[type, inspect.Signature] = {}


def _signature(operation: Any) -> inspect.Signature:
    cls = type(operation)
    if cls not in _SIGNATURES:
        _SIGNATURES[cls] = inspect.signature(operation.call)
    return _SIGNATURES[cls]


def _parameters(operation: Any) -> Mapping[str, inspect.Parameter]:
    return _signature(operation).parameters


def _arguments(call: Any, tensors: Mapping[int, Tensor]) -> tuple[tuple[Edge, ...], dict[str, Any]]:
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
