"""Reading the layer graph out of Keras: nested models inlined, calls in topological order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.models.call_arguments import Tensor, arguments_of, first_argument, parameters_of
from pytest_kerasequiv.models.descriptions import describe
from pytest_kerasequiv.models.functions import calls_in, given_to, graph_of, is_layer
from pytest_kerasequiv.models.graph import Edge, LayerGraph, LayerNode, NoLayerGraph
from pytest_kerasequiv.models.masks import Masks
from pytest_kerasequiv.models.roles import roles_of
from pytest_kerasequiv.models.variables import variables_of

if TYPE_CHECKING:
    import keras


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
        return {**describe(operation), "variables": tuple(roles)}


def _context(constants: Mapping[str, Any]) -> dict[str, Any]:
    """Return the call arguments that a model hands on to the layers inside."""
    return {name: value for name, value in constants.items() if name == "training"}
