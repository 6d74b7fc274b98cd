"""Random architectures: `graph` accepts every listed rewrite and never a fault."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_kerasequiv.checks import graph
from pytest_kerasequiv.verdict import CheckResult, Verdict

RELAXED = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def compared(reference: Any, candidate: Any) -> CheckResult:
    return graph.compare(graph.observe(reference), graph.observe(candidate))


@RELAXED
@given(random=st.randoms(use_true_random=False))
def test_rewrites_are_accepted(random: Any, architectures: ModuleType) -> None:
    spec = rewritten = architectures.random_spec(random)
    names = []
    for _ in range(random.randint(1, 3)):
        name, rewritten = architectures.random_rewrite(rewritten, random)
        names.append(name)
    result = compared(architectures.build(spec), architectures.build(rewritten))
    assert result.verdict is Verdict.EQUIVALENT, (
        names,
        spec,
        rewritten,
        [f.message for f in result.findings],
    )


@RELAXED
@given(random=st.randoms(use_true_random=False))
def test_faults_are_found(random: Any, architectures: ModuleType) -> None:
    spec = architectures.random_spec(random)
    fault, faulty = architectures.random_fault(spec, random)
    if random.random() < 0.5:
        _, faulty = architectures.random_rewrite(faulty, random)
    result = compared(architectures.build(spec), architectures.build(faulty))
    assert result.verdict is Verdict.DIFFERENT, (fault, spec, faulty)
    assert result.differences


@pytest.mark.parametrize(
    "rule",
    [
        "activation split",
        "identity",
        "convolution of kernel size 1",
        "TimeDistributed(Dense)",
        "RNN cell",
        "unroll",
        "operator",
        "commuting merge",
        "nested model",
        "order of construction",
        "reshape form",
    ],
)
@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(random=st.randoms(use_true_random=False))
def test_each_rewrite_is_accepted(random: Any, rule: str, architectures: ModuleType) -> None:
    for _ in range(20):
        spec = architectures.random_spec(random)
        ways = architectures.REWRITES[rule](spec)
        if ways:
            break
    else:
        return
    result = compared(architectures.build(spec), architectures.build(random.choice(ways)))
    assert result.verdict is Verdict.EQUIVALENT, [f.message for f in result.findings]
