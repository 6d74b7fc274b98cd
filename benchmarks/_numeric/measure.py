"""How much of the tolerance a pair of twins uses, with the variables mapped by order."""

import numpy as np

from pytest_kerasequiv.building.sources import source_of
from pytest_kerasequiv.checks.gradients import compare_passes
from pytest_kerasequiv.checks.numeric import inference, training_pass
from pytest_kerasequiv.checks.numeric.inference_differences import compare_inference
from pytest_kerasequiv.checks.numeric.plans import Plan
from pytest_kerasequiv.checks.numeric.views import TwinView
from pytest_kerasequiv.checks.tolerance import SAFETY
from pytest_kerasequiv.correspondence.variable_map import VariableMap
from pytest_kerasequiv.program import trace
from pytest_kerasequiv.program.skeleton import align
from pytest_kerasequiv.running.dtypes import least_precise_dtype
from pytest_kerasequiv.surface.probes import Probe, probes_for, training_batch
from pytest_kerasequiv.surface.targets import targets_for
from pytest_kerasequiv.weights.variables import values_of


def sides(reference, candidate, *, change=None):
    """Return both sides under the reference's weights, by order; `change` edits the candidate's."""
    sources = source_of(reference, "reference", compile=None), source_of(candidate, "candidate", compile=None)
    models = [source.build_as_given(0) for source in sources]
    values = values_of(models[0])
    carried = [v.reshape(own.shape) for v, own in zip(values, values_of(models[1]), strict=True)]
    if change is not None:
        carried = change([value.copy() for value in carried])
    dtype = least_precise_dtype(models[0])
    return (
        TwinView(models[0], values, sources[0], dtype),
        TwinView(models[1], carried, sources[1], dtype),
    )


def one_skeleton(reference, candidate):
    """Tell whether the programs of two sides have one skeleton, see `checks.tolerance`."""
    return align(trace(reference.model), trace(candidate.model)).sharp


def outputs_used(reference, candidate, seed=0):
    """Return the verdict of `outputs`, and the largest multiple of S as stored and in float64."""
    plan = Plan(probes=probes_for(reference.survey(), seed), seed=seed)
    return _used((inference.observe, compare_inference), plan, (reference, candidate), "outputs")


def gradients_used(reference, candidate, seed=0):
    """Return the same for `gradients`."""
    batches = [training_batch(reference.survey(), seed + k, size=4).inputs for k in range(2)]
    shapes = [reference.runner().output_shapes(batch) for batch in batches]
    targets = tuple(tuple(targets_for(each, ("output",) * len(each), None, seed)) for each in shapes)
    probes = tuple(Probe(str(k), batch) for k, batch in enumerate(batches))
    plan = Plan(probes=probes, targets=targets, seed=seed)
    return _used((training_pass.observe, compare_passes), plan, (reference, candidate), "tensors")


def _used(check, plan, sides, figure):
    observe, compare = check
    reference, candidate = sides
    first = observe(reference, plan)
    second = observe(candidate, plan.for_candidate(first.why_no_oracle))
    pairs = tuple((k, k) for k in range(len(reference.values)))
    result = compare(
        first, second, VariableMap(pairs, "assignment"), sharp=one_skeleton(reference, candidate)
    )
    return result.verdict, *_multiples(result.figures[figure])


def _multiples(judged):
    stored = max((j["stored"]["used"] for j in judged), default=0.0)
    exact = max((j["float64"]["used"] for j in judged if j["float64"]), default=float("nan"))
    return stored * SAFETY, exact * SAFETY


def one_weight_changed(values, relative=1e-6):
    """Change the largest element of the largest kernel by a relative amount."""
    index = int(np.argmax([v.size if v.ndim > 1 else 0 for v in values]))
    kernel = values[index].astype(np.float64)
    place = np.unravel_index(int(np.abs(kernel).argmax()), kernel.shape)
    kernel[place] *= 1 + relative
    values[index] = kernel.astype(values[index].dtype)
    return values
