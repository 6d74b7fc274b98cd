"""Soundness below Keras: traced graphs are changed by hand, and the changed one must never be proved."""

import copy
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from tensorflow.python.framework import op_def_registry

from pytest_kerasequiv.program import assembling, match_programs, trace
from pytest_kerasequiv.program.assembling import Assembly, Traced
from pytest_kerasequiv.program.attributes import DROPPED
from pytest_kerasequiv.program.indices import with_plain_indices
from pytest_kerasequiv.program.nodes import Unprovable


def build():
    """A model without two interchangeable variables."""
    inputs = keras.Input((6, 3))
    hidden = layers.Conv1D(4, 2, activation="relu")(inputs)
    hidden = layers.Dropout(0.2)(layers.BatchNormalization()(hidden))
    hidden = layers.LSTM(4, dropout=0.1)(hidden)
    model = keras.Model(inputs, layers.Dense(4, kernel_constraint="non_neg", kernel_regularizer="l2")(hidden))
    model.compile(loss="mse")
    return model


class Recorded:
    """The traced functions of one model, to be assembled again after a change."""

    def __init__(self, model):
        self.model = model
        self.taken: list[Any] = []
        take = Assembly.take
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                Assembly,
                "take",
                lambda own, part, traced, entry: (
                    self.taken.append((part, traced)) or take(own, part, traced, entry)
                ),
            )
            self.program = trace(model)
        assert self.program.reason is None

    def assemble(self, part=None, definition=None, captures=None):
        """Assemble the program, with the graph or captures of one part replaced."""
        assembly = Assembly(self.model)
        with pytest.MonkeyPatch.context() as patch:
            # Axes and slices are plain already; to rewrite them needs a graph that TensorFlow takes.
            patch.setattr(assembling, "with_plain_indices", lambda plain, graph: plain)
            try:
                for name, traced in self.taken:
                    changed = name == part
                    graph = Changed(
                        traced.graph,
                        definition if changed and definition is not None else self.definition(name),
                        captures if changed else None,
                    )
                    assembly.take(name, Traced(graph, traced.inputs, traced.results, traced.states))
            except Unprovable as obstacle:
                assembly.refuse(str(obstacle))
        return assembly.program()

    def definition(self, part):
        graph = dict(self.taken)[part].graph
        return with_plain_indices(copy.deepcopy(graph.as_graph_def()), graph)


class Changed:
    """A traced graph with another definition or other captures."""

    def __init__(self, graph, definition, captures):
        self.inputs, self.outputs, self.control_outputs = graph.inputs, graph.outputs, graph.control_outputs
        self.captures = graph.captures if captures is None else captures
        self._definition = definition

    def as_graph_def(self):
        return self._definition


@pytest.fixture(scope="module")
def recorded():
    return Recorded(build())


def test_assembled_again_it_is_the_same(recorded):
    assert match_programs(recorded.program, recorded.assemble()).proved


def data_name(text):
    return text.partition(":")[0]


def live_nodes(nodes, wanted):
    """Return the nodes that the wanted ones are computed from, by data alone."""
    by_name = {node.name: node for node in nodes}
    waiting, live = list(wanted), {}
    while waiting:
        name = waiting.pop()
        if name in by_name and name not in live:
            live[name] = by_name[name]
            waiting += [data_name(text) for text in by_name[name].input if not text.startswith("^")]
    return [node for node in nodes if node.name in live]


WRITES = ("AssignVariableOp",)


def bodies(graph_def, nodes, graph_outputs):
    """Return (nodes, live nodes) of the graph and of every function that a live node calls."""
    library = {function.signature.name: function for function in graph_def.library.function}
    wanted = [*graph_outputs, *(node.name for node in nodes if node.op in WRITES)]
    found = [(nodes, live_nodes(nodes, wanted))]
    for _, live in found:
        for node in live:
            for _, attribute in sorted(node.attr.items()):
                function = (
                    library.pop(attribute.func.name, None)
                    if attribute.WhichOneof("value") == "func"
                    else None
                )
                if function is not None:
                    returned = [data_name(text) for text in function.ret.values()]
                    found.append((function.node_def, live_nodes(function.node_def, returned)))
    return found


SKIPPED = ("Identity", "IdentityN", "Placeholder", "NoOp")


def change_constant(node, rng, _):
    if node.op != "Const":
        return False
    value = np.array(tf.make_ndarray(node.attr["value"].tensor))
    if value.size == 0 or value.dtype.kind not in "fiub":
        return False
    flat = value.reshape(-1)
    position = rng.integers(flat.size)
    flat[position] = np.nextafter(flat[position], np.inf) if value.dtype.kind == "f" else flat[position] ^ 1
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
    return True


def change_attribute(node, rng, _):
    names = sorted(name for name in node.attr if name not in DROPPED)
    rng.shuffle(names)
    for name in names:
        attribute = node.attr[name]
        kind = attribute.WhichOneof("value")
        if kind == "i":
            attribute.i += 1
        elif kind == "b":
            attribute.b = not attribute.b
        elif kind == "f":
            attribute.f += 1.0
        elif kind == "s":
            attribute.s += b"x"
        elif kind == "type":
            attribute.type = tf.int8.as_datatype_enum
        elif kind == "list" and attribute.list.i:
            attribute.list.i[int(rng.integers(len(attribute.list.i)))] += 1
        else:
            continue
        return True
    return False


def change_op(node, rng, _):
    if node.op in ("Const", *WRITES) or len([t for t in node.input if not t.startswith("^")]) != 1:
        return False
    node.op = "Tanh" if node.op != "Tanh" else "Sigmoid"
    return True


def rewire(node, rng, nodes):
    """Let one input come from a node of another type, which therefore computes something else."""
    positions = [i for i, text in enumerate(node.input) if not text.startswith("^")]
    if not positions:
        return False
    position = int(rng.choice(positions))
    by_name = {other.name: other for other in nodes}
    old = by_name.get(data_name(node.input[position]))
    before = [
        other for other in nodes if other.op not in (*SKIPPED, *WRITES) and not depends(other, node, by_name)
    ]
    others = [other for other in before if old is not None and old.op not in SKIPPED and other.op != old.op]
    others = [other for other in others if first_output(other)]
    if not others:
        return False
    source = others[int(rng.integers(len(others)))]
    in_function = node.input[position].count(":") == 2
    node.input[position] = f"{source.name}:{first_output(source)}:0" if in_function else source.name
    return True


def first_output(node):
    """Return the name of the op's first output, by which a function's body refers to it."""
    outputs = op_def_registry.get(node.op).output_arg
    return outputs[0].name if outputs else None


def depends(node, ancestor, by_name):
    waiting, seen = [node.name], set()
    while waiting:
        name = waiting.pop()
        if name == ancestor.name:
            return True
        if name in by_name and name not in seen:
            seen.add(name)
            waiting += [data_name(text).lstrip("^") for text in by_name[name].input]
    return False


ORDERED = (
    "Sub",
    "MatMul",
    "RealDiv",
    "ConcatV2",
    "GreaterEqual",
    "Pack",
    "SelectV2",
    "Conv2D",
    "ReluGrad",
    "Reshape",
)


def swap_inputs(node, rng, nodes):
    by_name = {other.name: other for other in nodes}
    inputs = [text for text in node.input if not text.startswith("^")]
    if node.op not in ORDERED or len(inputs) < 2 or inputs[0] == inputs[1]:
        return False
    sources = [by_name.get(data_name(text)) for text in node.input[:2]]
    if None in sources or sources[0].op == sources[1].op or any(source.op in SKIPPED for source in sources):
        return False
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return True


def drop_device(node, rng, _):
    node.device = "/job:elsewhere/device:CPU:0"
    return True


CHANGES = {
    change.__name__: change
    for change in (change_constant, change_attribute, change_op, rewire, swap_inputs, drop_device)
}
TRIALS = 15


@pytest.mark.parametrize("part", ["inference", "training"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_graph_is_never_proved(recorded, part, change):
    rng = np.random.default_rng([len(change), len(part)])
    graph = dict(recorded.taken)[part].graph
    changed = 0
    for _ in range(TRIALS):
        definition = recorded.definition(part)
        found = bodies(definition, definition.node, [tensor.op.name for tensor in graph.outputs])
        nodes, live = found[int(rng.integers(len(found)))]
        candidates = [node for node in live if node.op not in SKIPPED]
        rng.shuffle(candidates)
        before = [str(node) for node in candidates]
        place = next((i for i, node in enumerate(candidates) if CHANGES[change](node, rng, nodes)), None)
        if place is None:
            continue
        changed += 1
        program = recorded.assemble(part, definition)
        for match in (match_programs(recorded.program, program), match_programs(program, recorded.program)):
            assert not match.proved, f"{before[place]}\n->\n{candidates[place]}"
    assert changed > TRIALS // 3


def swaps(graph):
    """Return pairs of captured variables that could change places."""
    captures = list(graph.captures)
    return [
        (i, j)
        for i, (one, _) in enumerate(captures)
        for j, (other, _) in enumerate(captures[:i])
        if one.dtype == tf.resource and one.dtype == other.dtype
    ]


@pytest.mark.parametrize("part", ["inference", "training"])
def test_swapped_or_shared_variables_are_never_proved(recorded, part):
    graph = dict(recorded.taken)[part].graph
    captures = list(graph.captures)
    pairs = swaps(graph)
    for k in np.random.default_rng(0).permutation(len(pairs))[:TRIALS]:
        i, j = pairs[k]
        swapped = list(captures)
        swapped[i], swapped[j] = (captures[j][0], captures[i][1]), (captures[i][0], captures[j][1])
        assert not match_programs(recorded.program, recorded.assemble(part, captures=swapped)).proved
        shared = list(captures)
        shared[i] = (captures[j][0], captures[i][1])
        assert not match_programs(recorded.program, recorded.assemble(part, captures=shared)).proved


def test_effects_in_no_fixed_order_are_a_reason(recorded):
    """Without control edges it is left open whether a seed is read before or after it is advanced."""
    definition = recorded.definition("training")
    for node in definition.node:
        kept = [text for text in node.input if not text.startswith("^")]
        del node.input[:]
        node.input.extend(kept)
    program = recorded.assemble("training", definition)
    assert "in no fixed order" in program.reason or "not certain to run" in program.reason


def test_an_effect_that_may_not_run_is_a_reason(recorded, monkeypatch):
    graph = dict(recorded.taken)["training"].graph
    definition = without_control_edges_of_results(recorded.definition("training"), graph)
    changed = Changed(graph, definition, None)
    changed.control_outputs = []
    assembly = Assembly(recorded.model)
    traced = dict(recorded.taken)["training"]
    monkeypatch.setattr(assembling, "with_plain_indices", lambda plain, graph: plain)
    assembly.take("training", Traced(changed, traced.inputs, traced.results, traced.states))
    assert "not certain to run" in assembly.program().reason


def without_control_edges_of_results(definition, graph):
    results = {tensor.op.name for tensor in graph.outputs}
    for node in definition.node:
        if node.name in results:
            kept = [text for text in node.input if not text.startswith("^")]
            del node.input[:]
            node.input.extend(kept)
    return definition


def test_names_do_not_count(recorded):
    definition = recorded.definition("training")
    bound = {*(t.op.name for t in dict(recorded.taken)["training"].graph.inputs)}
    bound |= {t.op.name for t in dict(recorded.taken)["training"].graph.outputs}
    bound |= {op.name for op in dict(recorded.taken)["training"].graph.control_outputs}
    renamed = {node.name: f"n{i}" for i, node in enumerate(definition.node) if node.name not in bound}
    for node in definition.node:
        node.name = renamed.get(node.name, node.name)
        for i, text in enumerate(node.input):
            mark, name, output = (
                text[: text.startswith("^")],
                data_name(text).lstrip("^"),
                text.partition(":")[1:],
            )
            node.input[i] = mark + renamed.get(name, name) + "".join(output)
    assert match_programs(recorded.program, recorded.assemble("training", definition)).proved


def test_the_order_of_nodes_does_not_count(recorded):
    definition = recorded.definition("training")
    nodes = [copy.deepcopy(node) for node in definition.node]
    del definition.node[:]
    definition.node.extend(reversed(nodes))
    assert match_programs(recorded.program, recorded.assemble("training", definition)).proved


class Code(layers.Layer):
    """Runs a function on a weight of its own."""

    def __init__(self, function):
        super().__init__()
        self.function = function
        self.state = self.add_weight(shape=(8,), trainable=False, name="state")
        self.other = self.add_weight(shape=(8,), trainable=False, name="other")

    def call(self, inputs):
        return self.function(inputs, self.state, self.other)

    def compute_output_shape(self, input_shape):
        return input_shape


def code(function):
    inputs = keras.Input((8,))
    return trace(keras.Model(inputs, Code(function)(inputs)))


def read_then_write(x, state, other):
    y = x * state
    state.assign(state + 1.0)
    return y


def write_then_read(x, state, other):
    state.assign(state + 1.0)
    return x * state


def read_write_with_a_dead_read(x, state, other):
    y = x * state
    _ = state * 3.0
    state.assign(state + 1.0)
    return y


def write_twice(x, state, other):
    state.assign(state + 1.0)
    state.assign(state * 2.0)
    return x


def write_twice_the_other_way(x, state, other):
    state.assign(state * 2.0)
    state.assign(state + 1.0)
    return x


def write_both(x, state, other):
    state.assign(state + 1.0)
    other.assign(other * 2.0)
    return x


def write_both_the_other_way(x, state, other):
    other.assign(other * 2.0)
    state.assign(state + 1.0)
    return x


def write_one_into_the_other(x, state, other):
    other.assign(state)
    state.assign(state + 1.0)
    return x


def write_one_into_the_other_late(x, state, other):
    state.assign(state + 1.0)
    other.assign(state)
    return x


def loop(x, state, other):
    def body(i):
        state.assign(state * 2.0)
        return i + 1

    tf.while_loop(lambda i: i < 3, body, [0])
    return x * state


def read_before_the_loop(x, state, other):
    y = x * state
    loop(x, state, other)
    return y


def loop_of_another_body(x, state, other):
    def body(i):
        state.assign(state * 2.0 + 0.0)
        return i + 1

    tf.while_loop(lambda i: i < 3, body, [0])
    return x * state


def branch(x, state, other):
    def write():
        state.assign(state * 2.0)
        return 0

    tf.cond(tf.reduce_sum(x) > 0, write, lambda: 0)
    return x * state


def branch_the_other_way(x, state, other):
    def write():
        state.assign(state * 2.0)
        return 0

    tf.cond(tf.reduce_sum(x) > 0, lambda: 0, write)
    return x * state


def checked(x, state, other):
    tf.debugging.Assert(tf.reduce_all(x > 0.0), [x])
    return x


def checked_otherwise(x, state, other):
    tf.debugging.Assert(tf.reduce_all(x > 1.0), [x])
    return x


def unchecked(x, state, other):
    return x


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (read_then_write, read_write_with_a_dead_read),
        (write_both, write_both_the_other_way),
        (loop, loop),
        (branch, branch),
        (checked, checked),
    ],
)
def test_the_same_effects_are_proved(reference, candidate):
    match = match_programs(code(reference), code(candidate))
    assert match.proved, match.reason


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [
        (read_then_write, write_then_read),
        (write_twice, write_twice_the_other_way),
        (write_one_into_the_other, write_one_into_the_other_late),
        (loop, read_before_the_loop),
        (loop, loop_of_another_body),
        (branch, branch_the_other_way),
        (checked, checked_otherwise),
        (checked, unchecked),
    ],
)
def test_other_effects_are_never_proved(reference, candidate):
    reference, candidate = code(reference), code(candidate)
    assert reference.reason is None
    assert candidate.reason is None
    assert not match_programs(reference, candidate).proved
