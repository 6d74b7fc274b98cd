"""What is known of TensorFlow's ops: which read and write variables, run functions, or hide what they do."""

from __future__ import annotations

from typing import Any

from pytest_kerasequiv.keras_access.private_modules import op_def_registry

READS = frozenset(
    {"ReadVariableOp", "ResourceGather", "ResourceGatherNd", "VariableShape", "VarIsInitializedOp"}
)
"""Ops that look at a variable's value and leave it as it is."""

WRITES = frozenset(
    {
        "AssignVariableOp",
        "AssignAddVariableOp",
        "AssignSubVariableOp",
        "ResourceScatterAdd",
        "ResourceScatterSub",
        "ResourceScatterUpdate",
        "ResourceScatterNdUpdate",
    }
)
"""Ops that change a variable's value and touch nothing else."""

CALLS = {
    "While": (("body", "cond"), 0),
    "StatelessWhile": (("body", "cond"), 0),
    "If": (("then_branch", "else_branch"), 1),
    "StatelessIf": (("then_branch", "else_branch"), 1),
    "Case": (("branches",), 1),
    "StatelessCase": (("branches",), 1),
    "PartitionedCall": (("f",), 0),
    "StatefulPartitionedCall": (("f",), 0),
}
"""Ops that run functions: the attributes that name these, and the input that is their first argument."""

LOOPS = frozenset({"While", "StatelessWhile"})
"""Calls that return their arguments after the last round: a variable's handle comes out as it went in."""

EFFECTS = frozenset({"Assert"})
"""Ops with an effect of their own that is fully described by their inputs and does not depend on order."""

OPAQUE = {
    "Placeholder": "it stands for a value from outside",
    "EagerPyFunc": "it calls back into Python (tf.py_function)",
    "PyFunc": "it calls back into Python (tf.numpy_function)",
    "PyFuncStateless": "it calls back into Python (tf.numpy_function)",
    "XlaCallModule": "it runs a compiled module",
    "XlaCustomCall": "it runs custom compiled code",
    "XlaCustomCallV2": "it runs custom compiled code",
    "XlaHostCompute": "it runs code on the host",
}
"""Ops whose attributes do not say what they do."""

IDENTITIES = frozenset({"Identity", "IdentityN"})


RANDOM = frozenset(
    {
        "Multinomial",
        "ParameterizedTruncatedNormal",
        "RandomGamma",
        "RandomPoisson",
        "RandomPoissonV2",
        "RandomShuffle",
        "RandomStandardNormal",
        "RandomUniform",
        "RandomUniformInt",
        "TruncatedNormal",
    }
)
"""Ops that draw random numbers from a state that is no variable."""


def random_ops(definition: Any) -> list[str]:
    """Return the names of the ops in a graph, functions included, that draw from a hidden state."""
    bodies = [definition.node, *(function.node_def for function in definition.library.function)]
    return [node.name for nodes in bodies for node in nodes if node.op in RANDOM]


def hidden_state(op: str) -> str:
    """Say whether what an op does may depend on more than its inputs; empty where it does not."""
    definition = op_def_registry.get(op)
    if definition is None:
        return "is not registered, so what it does is not known"
    return "has state of its own outside the model's variables" if definition.is_stateful else ""
