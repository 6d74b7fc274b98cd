"""A thread's own generator: what the others draw changes nothing, and nothing stays changed."""

import random
import threading
import time
from contextlib import contextmanager
from random import choice, randint, shuffle
from typing import Any

import keras
import pytest

from pytest_kerasequiv.keras_access.python_random import own_generator
from pytest_kerasequiv.keras_access.random_state import seeded


@contextmanager
def drawing(pause=0.0002):
    """Another thread that draws from Python's global generator all the time."""
    stop = threading.Event()

    def draw():
        while not stop.is_set():
            random.random()
            time.sleep(pause)

    thread = threading.Thread(target=draw)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def build():
    model = keras.Sequential([keras.Input((4,))])
    for _ in range(8):
        model.add(keras.layers.Dense(4))
        model.add(keras.layers.Dropout(0.1))
    model.compile("sgd", "mse")
    return model


def start(seed=3):
    with seeded(seed):
        model = build()
        return [variable.numpy().tobytes() for variable in model.variables]


def test_a_seed_gives_one_start_whatever_other_threads_draw():
    expected = start()
    with drawing():
        assert [start() for _ in range(5)] == [expected] * 5


def test_a_seed_gives_one_start_in_every_thread():
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(start())) for _ in range(3)]
    for thread in threads:  # one after the other: Keras itself is not made for more
        thread.start()
        thread.join()
    assert found == [start()] * 3


def test_it_is_what_set_random_seed_gives():
    keras.utils.set_random_seed(3)
    expected = [variable.numpy().tobytes() for variable in build().variables]
    assert start() == expected


DRAWS = {
    "uniform": lambda: random.uniform(0, 1),
    "randint": lambda: random.randint(0, 10**9),
    "gauss": lambda: random.gauss(0, 1),
    "imported randint": lambda: randint(0, 10**9),
    "imported choice": lambda: choice(range(10**9)),
    "imported shuffle": lambda: shuffle(row := list(range(50))) or row,
    "bytes": lambda: random.randbytes(9),
}


@pytest.mark.parametrize("name", DRAWS)
def test_whatever_draws(name):
    draw = DRAWS[name]
    random.seed(5)
    expected = [draw() for _ in range(200)]
    with drawing(), own_generator():
        random.seed(5)
        assert [draw() for _ in range(200)] == expected


def test_the_shared_generator_keeps_its_state_and_the_module_its_functions():
    functions = {name: getattr(random, name) for name in random.__all__}
    random.seed(7)
    expected = random.random()
    random.seed(7)
    with own_generator(), own_generator():
        random.seed(1)
        random.random()
    assert random.random() == expected
    assert {name: getattr(random, name) for name in random.__all__} == functions
    assert not {"random", "getrandbits"} & set(vars(random._inst))


def test_what_was_imported_by_name_draws_by_the_seed_too():
    shared_random = random.random  # as ``from random import random`` gives it
    state = random.getstate()
    with seeded(3):
        first = shared_random()
    with seeded(3):
        assert shared_random() == first
    with seeded(4):
        assert shared_random() != first
    assert random.getstate() == state


def test_other_threads_go_on_drawing_from_the_shared_one():
    random.seed(7)
    expected = [random.random() for _ in range(3)]
    random.seed(7)
    found: list[Any] = []
    with own_generator():
        thread = threading.Thread(target=lambda: found.extend(random.random() for _ in range(3)))
        thread.start()
        thread.join()
    assert found == expected
