"""Benign rewrites: what may differ between two layer graphs of the same function, one small rule a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_kerasequiv.layers.layer_graph import LayerGraph
from pytest_kerasequiv.layers.rewrites import (
    activation_form,
    activation_split,
    dead_layers,
    global_pooling,
    identity,
    initialiser_form,
    masking_zero,
    operators,
    pointwise_conv,
    reshape_form,
    rnn_cell,
    separable_conv,
    spelled_out,
    stateless_sharing,
    time_distributed,
    trainable_flag,
    unroll,
)
from pytest_kerasequiv.layers.rewrites.work import Work

Rule = Callable[[Work, int], None]

RULES = (
    stateless_sharing,
    initialiser_form,
    spelled_out,
    rnn_cell,
    unroll,
    time_distributed,
    separable_conv,
    activation_split,
    pointwise_conv,
    activation_form,
    masking_zero,
    reshape_form,
    global_pooling,
    trainable_flag,
    identity,
    operators,
    dead_layers,
)
"""The rules, in the order in which they are applied; what one lays open, a later one may rewrite."""

REASONS = {rule.NAME: (rule.__doc__ or "").split("\n\n")[0].replace("\n", " ") for rule in RULES} | {
    "commuting merge": "The sum, product, average, maximum or minimum does not depend on the order of its "
    "inputs.",
    "nested model": "A nested model computes what its layers compute; it was inlined.",
}
"""Name of a rule -> why it is benign."""


@dataclass(frozen=True)
class Canonical:
    """A graph in canonical form.

    Attributes:
        graph: the rewritten graph.
        dead: the variables of layers that were taken out since no output needs them.
    """

    graph: LayerGraph
    dead: tuple[int, ...]


def canonical(graph: LayerGraph) -> Canonical:
    """Return a graph in canonical form: two graphs that differ only by the rules become isomorphic."""
    work = Work(graph)
    for rule in RULES:
        for index in list(work.nodes):
            if index in work.nodes:
                rule.apply(work, index)
    finished = work.finished()
    kept = {variable for node in finished.nodes for _, variable in node.variables}
    dead = {variable for node in work.dead for _, variable in node.variables}
    return Canonical(finished, tuple(sorted(dead - kept)))
