"""Rewrites that keep the function: no check that decides may call them DIFFERENT."""

import runpy
from pathlib import Path

import keras
import numpy as np
import pytest

from pytest_kerasequiv.building.twins import Twins
from pytest_kerasequiv.comparison import Comparison
from pytest_kerasequiv.verdict import Verdict

REWRITES = runpy.run_path(str(Path(__file__).with_name("rewrites.py")))["REWRITES"]
CHECKS = ("weights", "outputs", "gradients", "updates")
OTHER_SEED = 2
"""`benchmarks/numeric.py tolerance --seeds 20` goes on."""


def seeded(builder, seed):
    """Build under another seed than the twins' own, so that each run has other weights."""

    def build():
        keras.utils.set_random_seed(seed)
        return builder()

    return build


def verdicts(name, seed, optimizer):
    reference, candidate = (seeded(builder, seed) for builder in REWRITES[name])
    comparison = Comparison(
        Twins(reference, candidate, compile={"optimizer": optimizer, "loss": "mse"}), seed=seed
    )
    results = [comparison.check(check) for check in CHECKS]
    return {
        r.name: (r.verdict, [str(f) for f in r.differences])
        for r in results
        if r.verdict is not Verdict.EQUIVALENT
    }


@pytest.mark.parametrize("name", REWRITES)
def test_benign_rewrite_is_equivalent(name):
    assert verdicts(name, 1, "adam") == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", REWRITES)
def test_benign_rewrite_is_equivalent_under_another_seed(name):
    assert verdicts(name, OTHER_SEED, "sgd") == {}


def test_outputs_agree_over_batch_sizes_and_between_call_and_predict():
    model = REWRITES["activation=, ReLU layer"][0]()
    inputs = np.random.default_rng(0).normal(size=(32, 12, 3)).astype("float32")
    whole = model.predict(inputs, verbose=0)
    np.testing.assert_allclose(
        whole, np.concatenate([model(inputs[i : i + 1]) for i in range(32)]), atol=1e-6
    )
    np.testing.assert_allclose(whole, model(inputs), atol=1e-6)
