"""Tracing a model: inference, and one step's loss, gradients and state updates, as one program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.models.program.attributes import array_text
from pytest_kerasequiv.models.program.facts import (
    collected_losses,
    handles,
    input_signature,
    layer_paths,
    settings,
    variable_facts,
)
from pytest_kerasequiv.models.program.ir import Body, Node, Program, Ref, Unprovable
from pytest_kerasequiv.models.program.losses import Objective, objective, own_training, stand_in, total_loss
from pytest_kerasequiv.models.program.reading import Builder, Library
from pytest_kerasequiv.models.program.refining import Refiner, number
from pytest_kerasequiv.models.seeds import preserved_world
from pytest_kerasequiv.models.variables import variables_of

if TYPE_CHECKING:
    import keras

LABELS = "result: "
"""Begins the op of a node that is a result of the program."""


def trace(model: keras.Model) -> Program:
    """Trace what a built model computes.

    The model is left as it was: nothing is executed, its weights, seed states, metrics, optimizer and
    collected losses are untouched, and so is the random state of the caller. Python code in a layer's
    ``call`` runs twice.

    Never raises for a model that cannot be traced: ``Program.reason`` then says why, and no proof rests on
    it.
    """
    assembly = _Assembly(model)
    reason = None
    with preserved_world(), collected_losses(model):
        try:
            assembly.inference()
            assembly.training()
        except Unprovable as obstacle:
            reason = str(obstacle)
        except Exception as error:  # whatever a layer raises while being traced is the reason
            reason = f"it could not be traced: {type(error).__name__}: {error}"
    return assembly.program(reason)


@dataclass
class _Trace:
    """What one traced function returns, and what each returned tensor is."""

    labels: list[tuple[str, int | None]] = field(default_factory=list)
    tensors: list[Any] = field(default_factory=list)

    def add(self, label: str, value: Any, variable: int | None = None) -> None:
        """Note a result; ``variable`` is the index of the variable it belongs to."""
        import tensorflow as tf

        if value is None:
            return
        for suffix, part in _components(value):
            self.labels.append((label + suffix, variable))
            self.tensors.append(tf.convert_to_tensor(part))


class _Assembly:
    """Collects the traces of one model into one list of nodes."""

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self._variables = variables_of(model)
        self._infos = variable_facts(model, self._variables)
        self._nodes = [Node("Variable", (), (), info.path) for info in self._infos]
        self._results: list[int] = []
        self._bodies: dict[str, Body] = {}
        self._leaves: dict[str, int] = {}
        self._outputs: Any = None

    def inference(self) -> None:
        """Trace the model's outputs in inference."""
        import keras
        import tensorflow as tf

        specs = input_signature(self._model)
        found = _Trace()

        def run(inputs: Any) -> list[Any]:
            outputs = _call(self._model, inputs, training=False)
            self._outputs = keras.tree.map_structure(
                lambda tensor: tf.TensorSpec(tensor.shape, tensor.dtype), outputs
            )
            for path, tensor in _flat(outputs):
                found.add(f"inference output {path}", tensor)
            return found.tensors

        concrete = tf.function(run, autograph=False).get_concrete_function(specs)
        names = [f"Input {path}" for path, _ in _flat(specs)]
        self._take(concrete.graph, "inference", names, found, ())

    def training(self) -> None:
        """Trace one training step up to the gradients, the constraints and the updates of other state."""
        import keras
        import tensorflow as tf

        own = own_training(self._model)
        if own is not None:
            raise Unprovable(own)
        specs = input_signature(self._model)
        goal = objective(self._model, self._outputs)
        if goal.loss is None:
            goal = Objective(
                None, tuple(_stand_in_target(spec) for spec in keras.tree.flatten(self._outputs))
            )
        targets = [target for target in goal.targets if target is not None]
        found = _Trace()

        def run(inputs: Any, given: Any) -> list[Any]:
            waiting = iter(given)
            filled = [None if target is None else next(waiting) for target in goal.targets]
            self._step(found, inputs, goal, filled)
            return found.tensors

        concrete = tf.function(run, autograph=False).get_concrete_function(specs, targets)
        names = [f"Input {path}" for path, _ in _flat(specs)]
        names += [f"Target {i}" for i, target in enumerate(goal.targets) if target is not None]
        self._take(concrete.graph, "training", names, found, goal.bystanders)

    def _step(self, found: _Trace, inputs: Any, goal: Objective, targets: Sequence[Any]) -> None:
        import keras
        import tensorflow as tf

        floats = [(path, tensor) for path, tensor in _flat(inputs) if tensor.dtype.is_floating]
        with tf.GradientTape() as tape:
            tape.watch([tensor for _, tensor in floats])
            outputs = _call(self._model, inputs, training=True)
            loss = total_loss(self._model, goal, targets, outputs)
            if loss is None and goal.loss is None:
                loss = stand_in(targets, keras.tree.flatten(outputs))
        for path, tensor in _flat(outputs):
            found.add(f"training output {path}", tensor)
        found.add("loss", loss)
        trainable = [
            (i, v)
            for i, (v, info) in enumerate(zip(self._variables, self._infos, strict=True))
            if info.trainable
        ]
        if loss is not None and loss.dtype.is_floating:
            sources = [tensor for _, tensor in floats] + [variable.value for _, variable in trainable]
            gradients = tape.gradient(loss, sources)
            for (path, _), gradient in zip(floats, gradients, strict=False):
                found.add(f"gradient of input {path}", gradient)
            for (index, _), gradient in zip(trainable, gradients[len(floats) :], strict=True):
                found.add("gradient", gradient, index)
        for index, variable in trainable:
            if getattr(variable, "constraint", None) is not None:
                found.add("constraint", variable.constraint(variable), index)

    def _take(
        self, graph: Any, part: str, names: Sequence[str], found: _Trace, bystanders: Sequence[Any]
    ) -> None:
        """Read a traced graph into the list of nodes."""
        if getattr(graph, "deferred_internal_captures", None):
            raise Unprovable("it captures values that are looked up when it runs")
        definition = graph.as_graph_def()
        library = Library(definition.library.function)
        builder = Builder(library, part, self._nodes)
        handles = {index: builder.handle(index) for index in range(len(self._variables))}
        arguments = graph.inputs[: len(graph.inputs) - len(graph.captures)]
        for name, placeholder in zip(names, arguments, strict=True):
            builder.bind(placeholder.op.name, self._leaf(builder, name, placeholder))
        self._bind_captures(builder, graph, bystanders)
        certain = [tensor.op.name for tensor in graph.outputs] + [op.name for op in graph.control_outputs]
        try:
            builder.read(definition.node, certain)
        finally:
            self._bodies.update(library.by_digest)
        values = [builder.value(tensor.op.name, str(tensor.value_index)) for tensor in graph.outputs]
        for (label, variable), value in zip(found.labels, values, strict=True):
            self._result(label, part, [value], variable)
        for index, handle in handles.items():
            if builder.versions[handle] != handle:
                self._result(f"{part} state", part, [builder.versions[handle]], index)
        for effect in builder.effects:
            self._result(f"{part} effect", part, [(effect, "")], None)

    def _leaf(self, builder: Builder, name: str, placeholder: Any) -> int:
        """Return the leaf of an input, which the traces share."""
        if name not in self._leaves:
            shape = ("shape", str(placeholder.shape))
            dtype = ("dtype", placeholder.dtype.name)
            self._leaves[name] = builder.leaf(Node(name, (dtype, shape), (), name), handle=False)
        return self._leaves[name]

    def _bind_captures(self, builder: Builder, graph: Any, bystanders: Sequence[Any]) -> None:
        import tensorflow as tf

        known = handles(self._variables)
        aside = handles(bystanders)
        for outer, inner in graph.captures:
            if id(outer) in known:
                builder.bind(inner.op.name, known[id(outer)])
            elif id(outer) in aside:
                leaf = Node(f"Bystander {aside[id(outer)]}", (), (), inner.op.name)
                builder.bind(inner.op.name, builder.leaf(leaf, handle=True))
            elif outer.dtype in (tf.resource, tf.variant):
                raise Unprovable(
                    f"it uses a {outer.dtype.name} that is no variable of the model ({inner.op.name}): "
                    "a lookup table, an iterator, or a variable that Keras does not know of"
                )
            else:
                text = array_text(outer.numpy(), outer.dtype.name)
                leaf = Node("Const", (("dtype", outer.dtype.name), ("value", text)), (), inner.op.name)
                builder.bind(inner.op.name, builder.leaf(leaf, handle=False))

    def _result(self, label: str, part: str, values: Sequence[Ref], variable: int | None) -> None:
        inputs = (*values, *([(variable, "of")] if variable is not None else []))
        self._nodes.append(Node(LABELS + label, (), inputs, label, part))
        self._results.append(len(self._nodes) - 1)

    def program(self, reason: str | None) -> Program:
        """Return what was collected, without the nodes that no result depends on."""
        nodes, results = _alive(self._nodes, self._results, len(self._variables))
        numbering = None if reason else number(Refiner(nodes, self._infos, results))
        return Program(
            nodes=tuple(nodes),
            variables=tuple(self._infos),
            results=tuple(results),
            bodies=self._bodies,
            layers=tuple(layer_paths(self._model)),
            settings=settings(self._model),
            reason=reason,
            fingerprint=_fingerprint(numbering.fingerprint, settings(self._model)) if numbering else None,
            numbering=numbering.order if numbering else (),
            unique=numbering.unique if numbering else True,
        )


def _fingerprint(content: str, settings: Sequence[tuple[str, str]]) -> str:
    from pytest_kerasequiv.models.program.colours import digest

    return digest(content.encode(), repr(tuple(settings)).encode()).hex()


def _alive(nodes: Sequence[Node], results: Sequence[int], leaves: int) -> tuple[list[Node], list[int]]:
    """Drop the nodes that no result depends on; the first ``leaves`` stay."""
    needed = [False] * len(nodes)
    for index in results:
        needed[index] = True
    for index in range(len(nodes) - 1, -1, -1):
        if needed[index]:
            for source, _ in nodes[index].inputs:
                needed[source] = True
    place: dict[int, int] = {}
    kept: list[Node] = []
    for index, node in enumerate(nodes):
        if needed[index] or index < leaves:
            place[index] = len(kept)
            inputs = tuple((place[source], output) for source, output in node.inputs)
            kept.append(Node(node.op, node.attributes, inputs, node.name, node.part))
    return kept, [place[index] for index in results]


def _stand_in_target(spec: Any) -> Any:
    import tensorflow as tf

    if not spec.dtype.is_floating:
        return None
    return tf.TensorSpec(spec.shape, tf.float64 if spec.dtype == tf.float64 else tf.float32)


def _call(model: keras.Model, inputs: Any, *, training: bool) -> Any:
    """Call a model as Keras's own steps do."""
    if getattr(model, "_call_has_training_arg", True):
        return model(inputs, training=training)
    return model(inputs)


def _flat(structure: Any) -> list[tuple[str, Any]]:
    """Flatten a structure to (path, leaf): positions in lists, keys in dicts; one tensor is ``0``."""
    import keras

    paired = keras.tree.flatten_with_path(structure)
    return [("/".join(map(str, path)) or "0", leaf) for path, leaf in paired if leaf is not None]


def _components(value: Any) -> list[tuple[str, Any]]:
    """Take a tensor apart where it consists of several (gradients of embeddings)."""
    import tensorflow as tf

    if isinstance(value, tf.IndexedSlices):
        parts = [("", value.values), (" rows", value.indices), (" shape", value.dense_shape)]
        return [(suffix, part) for suffix, part in parts if part is not None]
    if isinstance(value, tf.SparseTensor):
        return [("", value.values), (" positions", value.indices), (" shape", value.dense_shape)]
    return [("", value)]
