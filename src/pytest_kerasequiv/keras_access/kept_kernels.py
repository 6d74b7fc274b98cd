"""Seeding without making TensorFlow forget the kernels that it has prepared, unless something draws."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from tensorflow.python import pywrap_tfe
from tensorflow.python.eager import context
from tensorflow.python.framework import random_seed
from tensorflow.python.ops import gen_candidate_sampling_ops, gen_image_ops, gen_random_ops

DRAWING: tuple[Any, ...] = (gen_candidate_sampling_ops, gen_image_ops, gen_random_ops)
"""The modules of the operations of TensorFlow whose kernels keep their place in a stream of numbers."""

_seeding, _watching = threading.Lock(), threading.Lock()


@contextmanager
def kernels_kept(seed: Callable[[], None]) -> Iterator[None]:
    """Seed everything for a block, in which TensorFlow's kernels are forgotten when it first matters.

    ``tf.random.set_seed`` empties TensorFlow's cache, since the kernels of ``tf.random.uniform`` and the like
    keep their place in a stream of numbers. Keras draws from none of these; and preparing all others anew
    takes as long as building the layers of a model. So they are forgotten when the block asks for the seed of
    such an operation, runs one, or runs a traced function, which may hold some. Of blocks in several threads
    at a time, or within one another, the first alone keeps them.

    Args:
        seed: seeds everything.
    """
    if not _watching.acquire(blocking=False):
        with _seeding:
            seed()
        yield
        return
    try:
        with _seeding, patch.object(pywrap_tfe, "TFE_ContextClearCaches", lambda _: None):
            seed()
        with _forgotten_when_it_matters():
            yield
    finally:
        _watching.release()


@contextmanager
def _forgotten_when_it_matters() -> Iterator[None]:
    empty = pywrap_tfe.TFE_ContextClearCaches
    waiting = [True]

    def forget() -> None:
        if waiting:
            waiting.clear()
            empty(context.context()._handle)

    with ExitStack() as watched:
        for owner in (random_seed, "get_seed"), (context.Context, "call_function"):
            watched.enter_context(patch.object(*owner, _after(forget, getattr(*owner))))
        for module in DRAWING:
            watched.enter_context(patch.object(module, "pywrap_tfe", _Watched(pywrap_tfe, forget)))
        yield


def _after(first: Callable[[], None], function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any, **options: Any) -> Any:
        first()
        return function(*arguments, **options)

    return call


class _Watched:
    """A module that stands for another; something is done before its functions are used."""

    def __init__(self, module: Any, first: Callable[[], None]) -> None:
        self._module = module
        self._first = first

    def __getattr__(self, name: str) -> Any:
        self._first()
        return getattr(self._module, name)
