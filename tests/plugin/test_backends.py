"""Backends as tests, declarations and the shell name them."""

import pytest
from tests.common.across_backends import EACH
from tests.common.in_process import load_package

load_package()

NETWORKS = """
import keras

def small(rate=0.2):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(rate), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    return model
"""


@pytest.fixture
def networks(pytester):
    pytester.makepyfile(networks=NETWORKS)
    return pytester


@pytest.mark.parametrize("backend", EACH)
def test_fixture_declaration_and_builders_of_the_test_file(networks, backend):
    networks.makepyprojecttoml(
        f"""
        [[tool.kerasequiv.twins]]
        name = "small"
        reference = "networks:small"
        backend = "{backend}"
        checks = ["summary", "gradients"]
        """
    )
    networks.makepyfile(
        test_it=f"""
        from functools import partial
        import networks

        def own():
            return networks.small()

        def test_same(keras_twins):
            keras_twins(own, backend="{backend}").assert_same_gradients()

        def test_other(keras_twins):
            keras_twins(own, partial(networks.small, 0.25), backend="{backend}").assert_same_gradients()
        """
    )
    result = networks.runpytest("--kerasequiv", "-p", "no:randomly")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["*rate is 0.2 in the reference and 0.25 in the candidate*"])


def test_an_unknown_backend_in_a_declaration_is_refused(networks):
    networks.makepyprojecttoml(
        """
        [[tool.kerasequiv.twins]]
        name = "small"
        reference = "networks:small"
        backend = "theano"
        """
    )
    result = networks.runpytest("--kerasequiv")
    result.stdout.fnmatch_lines(["*pair 'small': backend='theano' is unknown; choose from tensorflow, jax*"])


@pytest.mark.parametrize("backend", EACH)
def test_the_shell_compares_with_another_backend(networks, backend):
    networks.syspathinsert()
    done = networks.runpython_c(
        "from pytest_kerasequiv.__main__ import main; "
        f"raise SystemExit(main(['networks:small', '--backend', '{backend}']))"
    )
    assert done.ret == 0, done.stderr.str()
    done.stdout.fnmatch_lines([f"EQUIVALENT*small-on-{backend}*"])


def test_a_revision_and_a_backend_are_not_compared_at_once(capsys):
    from pytest_kerasequiv.__main__ import main

    assert main(["networks:small", "--backend", "jax", "--against", "HEAD"]) == 3
    assert "give one" in capsys.readouterr().err
