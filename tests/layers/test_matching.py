"""Matching on plain graphs, without Keras."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_kerasequiv.layers.isomorphism import isomorphism, preserves
from pytest_kerasequiv.layers.layer_graph import Edge, LayerGraph, LayerNode
from pytest_kerasequiv.layers.matching import _unlocated, match

SHAPE = (((None, 4), "float32"),)


def node(kind: str, *sources: int, layer: int | None = None, **config: Any) -> LayerNode:
    """One node; its layer is told apart by its place unless ``layer`` says otherwise."""
    slots = ["inputs"] if len(sources) == 1 else [f"inputs.{place}" for place in range(len(sources))]
    edges = tuple(Edge(source, 0, slot) for source, slot in zip(sources, slots, strict=True))
    return LayerNode("", kind, config, edges, SHAPE, -2 if layer is None else layer)


def graph(
    *nodes: LayerNode, outputs: Sequence[int] = (-1,), name: str = "m", trainable: bool = True
) -> LayerGraph:
    layers = [1000 + i if n.layer == -2 else n.layer for i, n in enumerate(nodes)]
    made = tuple(
        replace(
            n,
            path=f"{name}/{n.kind.lower()}_{i}",
            layer=layers[i],
            home=i,
            variables=(("kernel", layers[i]),) if n.kind == "Dense" else (),
        )
        for i, n in enumerate(nodes)
    )
    inputs = tuple(i for i, n in enumerate(made) if n.kind == "InputLayer")
    returned = tuple(Edge(range(len(made))[o], 0, str(place)) for place, o in enumerate(outputs))
    return LayerGraph(name, made, inputs, returned, trainable)


def dense(source: int, units: int = 4, **more: Any) -> LayerNode:
    return node("Dense", source, units=units, **more)


INPUT = node("InputLayer")


def chain(*units: int, name: str = "m") -> LayerGraph:
    return graph(INPUT, *(dense(i, size) for i, size in enumerate(units)), name=name)


def fields(reference: LayerGraph, candidate: LayerGraph) -> list[tuple[str, Any, Any]]:
    return [(e.field, e.reference, e.candidate) for e in match(reference, candidate).edits]


def test_equal_chains_match() -> None:
    found = match(chain(1, 2, 3, name="a"), chain(1, 2, 3, name="b"))
    assert found.isomorphic
    assert found.pairs == ((0, 0), (1, 1), (2, 2), (3, 3))
    assert not found.edits
    assert not found.rules


def test_a_changed_field_is_one_edit() -> None:
    assert fields(chain(1, 2, 3), chain(1, 5, 3)) == [("units", 2, 5)]


def test_a_changed_class_is_one_edit() -> None:
    ours = graph(INPUT, dense(0), node("MaxPooling1D", 1, pool_size=[2]), dense(2))
    theirs = graph(INPUT, dense(0), node("AveragePooling1D", 1, pool_size=[2]), dense(2))
    assert fields(ours, theirs) == [("class", "MaxPooling1D", "AveragePooling1D")]


@pytest.mark.parametrize("place", range(6))
def test_an_extra_layer_is_one_edit(place: int) -> None:
    units = [3, 3, 5, 3, 5]
    longer = [*units[:place], 9, *units[place:]]
    assert fields(chain(*units), chain(*longer)) == [("layer", None, "Dense")]
    assert fields(chain(*longer), chain(*units)) == [("layer", "Dense", None)]


def test_an_extra_layer_like_its_neighbours_is_one_edit() -> None:
    assert [f for f, _, _ in fields(chain(3, 3, 3), chain(3, 3, 3, 3))] == ["layer"]


def test_a_moved_layer_is_one_edit() -> None:
    ours = graph(INPUT, node("Dropout", 0, rate=0.2), dense(1), dense(2, 5))
    theirs = graph(INPUT, dense(0), node("Dropout", 1, rate=0.2), dense(2, 5))
    assert [f for f, _, _ in fields(ours, theirs)] == ["inputs"]


def test_a_field_is_told_before_wiring_before_layers() -> None:
    ours = graph(INPUT, dense(0, 1), dense(0, 2), node("Subtract", 1, 2), dense(3, 7), dense(4, 8))
    theirs = graph(
        INPUT, dense(0, 1), dense(0, 2), node("Subtract", 2, 1), dense(3, 6), dense(4, 8), node("Extra", 5)
    )
    assert [f for f, _, _ in fields(ours, theirs)][:3] == ["units", "inputs", "layer"]


@pytest.mark.parametrize("kind", ["Subtract", "Concatenate", "Dot"])
def test_swapped_inputs_of_an_ordered_merge(kind: str) -> None:
    ours = graph(INPUT, dense(0, 1), dense(0, 2), node(kind, 1, 2))
    theirs = graph(INPUT, dense(0, 1), dense(0, 2), node(kind, 2, 1))
    assert [f for f, _, _ in fields(ours, theirs)] == ["inputs"]


@pytest.mark.parametrize("kind", ["Add", "Multiply", "Average", "Maximum", "Minimum"])
def test_merges_that_commute(kind: str) -> None:
    ours = graph(INPUT, dense(0, 1), dense(0, 2), node(kind, 1, 2))
    theirs = graph(INPUT, dense(0, 1), dense(0, 2), node(kind, 2, 1))
    found = match(ours, theirs)
    assert found.isomorphic
    assert [use.rule for use in found.rules] == ["commuting merge"]


def test_a_commuting_merge_still_counts_its_inputs() -> None:
    ours = graph(INPUT, dense(0, 1), dense(0, 2), node("Add", 1, 2), node("Concatenate", 1, 2, 3))
    theirs = graph(INPUT, dense(0, 1), dense(0, 2), node("Add", 1, 1), node("Concatenate", 1, 2, 3))
    assert [f for f, _, _ in fields(ours, theirs)] == ["inputs"]


def test_wrong_skip_source_is_one_edit() -> None:
    ours = graph(INPUT, dense(0, 1), dense(1, 2), dense(2, 3), node("Add", 1, 3), dense(4, 9))
    theirs = graph(INPUT, dense(0, 1), dense(1, 2), dense(2, 3), node("Add", 2, 3), dense(4, 9))
    assert [f for f, _, _ in fields(ours, theirs)] == ["inputs"]


def test_order_of_outputs() -> None:
    ours = graph(INPUT, dense(0, 1), dense(0, 2), outputs=(1, 2))
    theirs = graph(INPUT, dense(0, 1), dense(0, 2), outputs=(2, 1))
    assert {f for f, _, _ in fields(ours, theirs)} == {"outputs"}


def test_order_of_inputs() -> None:
    ours = graph(INPUT, INPUT, dense(0, 1), dense(1, 2), node("Concatenate", 2, 3))
    theirs = graph(INPUT, INPUT, dense(1, 1), dense(0, 2), node("Concatenate", 2, 3))
    assert {f for f, _, _ in fields(ours, theirs)} == {"inputs"}


def test_order_of_nodes_does_not_count() -> None:
    ours = graph(INPUT, dense(0, 1), dense(0, 2), node("Concatenate", 1, 2))
    theirs = graph(INPUT, dense(0, 2), dense(0, 1), node("Concatenate", 2, 1))
    assert match(ours, theirs).pairs == ((0, 0), (1, 2), (2, 1), (3, 3))


def test_shared_against_separate() -> None:
    shared = graph(INPUT, node("Dense", 0, layer=7, units=4), node("Dense", 1, layer=7, units=4))
    separate = graph(INPUT, dense(0), dense(1))
    assert [f for f, _, _ in fields(shared, separate)] == ["sharing"]
    assert [f for f, _, _ in fields(separate, shared)] == ["sharing"]
    assert match(shared, shared).isomorphic


def test_which_calls_share_a_layer() -> None:
    def crossed(*layers: int) -> LayerGraph:
        first = [node("Dense", 0, layer=layer, units=4) for layer in layers[:2]]
        second = [node("Dense", 1, layer=layers[2], units=4), node("Dense", 2, layer=layers[3], units=4)]
        return graph(INPUT, *first, *second, node("Concatenate", 3, 4))

    straight, cross = crossed(1, 2, 1, 2), crossed(1, 2, 2, 1)
    assert not match(straight, cross).isomorphic
    assert "sharing" in {f for f, _, _ in fields(straight, cross)}


def test_the_flag_of_the_model() -> None:
    ours, theirs = graph(INPUT, dense(0)), graph(INPUT, dense(0), trainable=False)
    assert fields(ours, theirs) == [("trainable", True, False)]


def test_an_argument_that_is_no_tensor() -> None:
    ours = graph(INPUT, replace(node("Dropout", 0, rate=0.1), constants={"training": True}))
    assert fields(ours, graph(INPUT, node("Dropout", 0, rate=0.1))) == [("training", True, None)]


def test_the_slot_of_an_argument() -> None:
    def attention(first: str, second: str) -> LayerGraph:
        call = replace(node("Attention"), inputs=(Edge(1, 0, first), Edge(2, 0, second)))
        return graph(INPUT, dense(0, 1), dense(0, 2), call)

    assert match(attention("query", "value"), attention("query", "value")).isomorphic
    assert [f for f, _, _ in fields(attention("query", "value"), attention("value", "query"))] == ["inputs"]


def test_which_output_of_a_layer() -> None:
    def second(output: int) -> LayerGraph:
        call = replace(dense(1), inputs=(Edge(1, output),))
        return graph(INPUT, replace(node("LSTM", 0), outputs=SHAPE * 3), call)

    assert not match(second(1), second(2)).isomorphic


def test_symmetric_branches_are_interchangeable() -> None:
    branches = [node for i in range(4) for node in (dense(0, 3), dense(1 + 2 * i, 5))]
    whole = graph(INPUT, *branches, node("Add", 2, 4, 6, 8))
    found = isomorphism(whole, whole)
    assert found is not None
    assert [len(ours) for ours, _ in found.symmetries] == [4]


def test_equal_branches_joined_by_a_shared_layer() -> None:
    def joined(*layers: int) -> LayerGraph:
        first = [dense(0, 3), dense(0, 3)]
        second = [node("Dense", 1, layer=layers[0], units=5), node("Dense", 2, layer=layers[1], units=5)]
        return graph(INPUT, *first, *second, node("Add", 3, 4))

    assert match(joined(7, 7), joined(7, 7)).isomorphic
    assert match(joined(7, 8), joined(7, 8)).isomorphic
    assert [f for f, _, _ in fields(joined(7, 7), joined(7, 8))] == ["sharing"]


def rings(*sizes: int) -> LayerGraph:
    """Equal layers in rings, every two neighbours added up: colours alone do not tell one ring from two."""
    count = sum(sizes)
    sums, start = [], 0
    for size in sizes:
        sums += [node("Add", 1 + start + i, 1 + start + (i + 1) % size) for i in range(size)]
        start += size
    return graph(
        INPUT, *(dense(0, 3) for _ in range(count)), *sums, node("Maximum", *range(1 + count, 1 + 2 * count))
    )


def test_what_colours_do_not_tell_apart_is_searched() -> None:
    assert isomorphism(rings(6), rings(6)) is not None
    assert isomorphism(rings(3, 3), rings(3, 3)) is not None
    assert isomorphism(rings(6), rings(3, 3)) is None
    assert isomorphism(rings(4, 8), rings(6, 6)) is None
    assert isomorphism(rings(4, 8), rings(8, 4)) is not None
    assert match(rings(6), rings(3, 3)).edits


def test_a_change_in_one_of_many_equal_branches() -> None:
    def many(odd: int) -> LayerGraph:
        branches = [n for i in range(12) for n in (dense(0, 3), dense(1 + 2 * i, odd if i == 7 else 5))]
        return graph(INPUT, *branches, node("Add", *range(2, 25, 2)))

    assert fields(many(5), many(6)) == [("units", 5, 6)]


def test_all_layers_changed_still_correspond() -> None:
    def deep(dtype: str) -> LayerGraph:
        return graph(INPUT, *(dense(i, i % 3, dtype=dtype) for i in range(150)))

    found = match(deep("float32"), deep("float64"))
    assert found.pairs == tuple((i, i) for i in range(151))
    assert {edit.field for edit in found.edits} == {"dtype"}


@pytest.mark.parametrize("length", [100, 1000])
def test_a_change_of_every_layer_of_a_long_chain(length: int) -> None:
    def deep(dtype: str) -> LayerGraph:
        return graph(INPUT, *(dense(i, 1 + i % 3, dtype=dtype) for i in range(length)))

    started = time.perf_counter()
    found = match(deep("float32"), deep("float64"))
    assert len(found.pairs) == length + 1
    assert {edit.field for edit in found.edits} == {"dtype"}
    assert time.perf_counter() - started < 0.02 * length + 1


def test_unlike_models_are_compared_to_the_end() -> None:
    ours = graph(INPUT, node("Conv1D", 0, filters=3), node("LSTM", 1, units=2), node("Flatten", 2))
    theirs = graph(INPUT, node("GRU", 0, units=2), node("Softmax", 1))
    assert not match(ours, theirs).isomorphic


def test_variables_follow_the_layers() -> None:
    ours = graph(INPUT, dense(0, 1), dense(0, 2), node("Concatenate", 1, 2))
    theirs = graph(INPUT, dense(0, 2), dense(0, 1), node("Concatenate", 2, 1))
    assert match(ours, theirs).variables == ((1001, 1002), (1002, 1001))


def test_a_difference_without_a_place_is_still_one() -> None:
    """Nodes that correspond one by one, in graphs that are not isomorphic."""
    edit = _unlocated(chain(1), chain(2))
    assert edit.field == "graph"


def test_round_trip_through_json() -> None:
    rewritten = replace(dense(1), seeds={"seed": 3}, rewrites=(("identity", "m/x", "{}"),))
    ours = graph(INPUT, dense(0, 1), rewritten)
    assert LayerGraph.from_dict(json.loads(json.dumps(ours.to_dict()))) == ours


def test_networkx_form() -> None:
    made = graph(INPUT, dense(0), node("Add", 1, 1)).to_networkx()
    assert made.number_of_edges(1, 2) == 2
    assert made.nodes[1]["node"].kind == "Dense"


@pytest.mark.parametrize("length", [10, 100, 1000])
def test_long_chains(length: int) -> None:
    limit = sys.getrecursionlimit()
    started = time.perf_counter()
    assert match(chain(*[4] * length), chain(*[4] * length)).isomorphic
    changed = [4] * length
    changed[length // 2] = 5
    assert fields(chain(*[4] * length), chain(*changed)) == [("units", 4, 5)]
    assert time.perf_counter() - started < 0.02 * length + 1, "near linear, with room for a busy machine"
    assert sys.getrecursionlimit() == limit


def test_long_equal_branches() -> None:
    limit = sys.getrecursionlimit()
    branches = [dense(0 if i % 600 == 0 else i) for i in range(1200)]
    whole = graph(INPUT, *branches, node("Add", 600, 1200))
    assert match(whole, whole).isomorphic
    assert sys.getrecursionlimit() == limit


@st.composite
def random_graphs(draw: Any) -> LayerGraph:
    """A graph of few kinds and configs, so that symmetric parts are common."""
    nodes = [INPUT]
    for index in range(1, draw(st.integers(2, 9))):
        source = st.integers(0, index - 1)
        kind = draw(st.sampled_from(["Dense", "Dense", "Add", "Subtract"]))
        if kind == "Dense":
            layer = draw(st.sampled_from([None, None, 1, 2]))
            nodes.append(node("Dense", draw(source), layer=layer, units=1 + (layer or 0)))
        else:
            nodes.append(node(kind, draw(source), draw(source)))
    return graph(*nodes)


def shuffled(whole: LayerGraph, random: Any) -> LayerGraph:
    """The same graph, its nodes in another topological order."""
    left, order = set(range(len(whole.nodes))), []
    while left:
        ready = [i for i in sorted(left) if all(e.source not in left for e in whole.nodes[i].inputs)]
        order.append(random.choice(ready))
        left.remove(order[-1])
    place = {index: number for number, index in enumerate(order)}
    nodes = [
        replace(
            whole.nodes[i],
            inputs=tuple(replace(edge, source=place[edge.source]) for edge in whole.nodes[i].inputs),
            home=number,
        )
        for number, i in enumerate(order)
    ]
    return replace(
        whole,
        nodes=tuple(nodes),
        inputs=tuple(place[i] for i in whole.inputs),
        outputs=tuple(replace(edge, source=place[edge.source]) for edge in whole.outputs),
    )


@settings(max_examples=150, deadline=None)
@given(whole=random_graphs(), random=st.randoms(use_true_random=False))
def test_a_renumbered_graph_is_isomorphic(whole: LayerGraph, random: Any) -> None:
    other = shuffled(whole, random)
    found = isomorphism(whole, other)
    assert found is not None
    assert preserves(whole, other, found.pairing)


@settings(max_examples=150, deadline=None)
@given(ours=random_graphs(), theirs=random_graphs())
def test_agrees_with_plain_networkx(ours: LayerGraph, theirs: LayerGraph) -> None:
    """The coloured search finds an isomorphism exactly where brute force over networkx finds one."""
    assert (isomorphism(ours, theirs) is not None) == plainly_isomorphic(ours, theirs)


def plainly_isomorphic(ours: LayerGraph, theirs: LayerGraph) -> bool:
    from networkx.algorithms.isomorphism import DiGraphMatcher

    first, second = plain(ours), plain(theirs)
    return DiGraphMatcher(
        first, second, node_match=lambda a, b: a == b, edge_match=lambda a, b: a == b
    ).is_isomorphic()


def plain(whole: LayerGraph) -> Any:
    import networkx as nx

    made = nx.DiGraph()
    for index, own in enumerate(whole.nodes):
        returned = sorted(e.slot for e in whole.outputs if e.source == index)
        made.add_node(index, label=own.label, returned=returned)
        if own.layer < 1000:
            made.add_node(("layer", own.layer), label="layer", returned=[])
            made.add_edge(("layer", own.layer), index, slots=["layer"])
        for edge in own.inputs:
            slots = made.get_edge_data(edge.source, index, {"slots": []})["slots"]
            made.add_edge(edge.source, index, slots=sorted([*slots, own.comparable_slot(edge)]))
    for hub in [n for n in made if isinstance(n, tuple)]:
        if made.out_degree(hub) == 1:
            made.remove_node(hub)
    return made
