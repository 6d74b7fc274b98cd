"""Data that come in batches: datasets, loaders, other batches with a length, and functions that make such."""

from __future__ import annotations

import hashlib
import inspect
import random
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, count, islice
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pytest_kerasequiv.errors import InputError, said
from pytest_kerasequiv.keras_access.private_modules import class_weight_to_sample_weights
from pytest_kerasequiv.keras_access.random_state import seeded
from pytest_kerasequiv.training.data import Split, is_of, leaves, refuse_not_finite, split, weighed
from pytest_kerasequiv.training.digests import feed

MOST_BATCHES = 100_000
"""Batches of one pass beyond which data without a length are taken for endless."""
_OTHER_SEED = 104_729
_CONTAINERS = (np.ndarray, np.generic, Mapping, list, tuple, str, bytes, set, frozenset)


class Handed(NamedTuple):
    """What ``Model.fit`` or ``Model.evaluate`` is handed: x, y, sample weights, how many batches."""

    x: Any
    y: Any = None
    sample_weight: Any = None
    steps: int | None = None
    class_weight: Any = None


class Content(NamedTuple):
    """What one look at the data tells.

    Attributes:
        digest: of all batches of a pass, under one seed.
        follows_seed: whether other seeds give other batches.
        first: the first batch.
        batches: how many a pass has.
        by_workers: whether several threads or processes share the random state: which draws what is chance.
    """

    digest: str
    follows_seed: bool
    first: Split
    batches: int
    by_workers: bool = False


@dataclass(frozen=True, eq=False)
class Feed:
    """Data that ``Model.fit`` takes whole, instead of arrays.

    Attributes:
        name: the argument, for messages.
        given: what the user gave.
        kind: it in words, ``"a tf.data.Dataset"``.
        steps: batches of an epoch, where the user says.
        passes: how many passes are compared: an epoch can differ from the one before.
        class_weight: class -> weight of its samples.
    """

    name: str
    given: Any
    kind: str
    steps: int | None = None
    passes: int = 1
    class_weight: Mapping[int, float] | None = None

    def handed(self, seed: int) -> Handed:
        """Return what to train or evaluate on in the run of a seed; to be called within `drawn_under` it."""
        data = self._opened(seed)
        if isinstance(data, Split):
            return Handed(*weighed(self.name, data, self.class_weight), self.steps)
        if isinstance(data, tf.data.Dataset | keras.utils.PyDataset):
            return Handed(data, steps=self.steps, class_weight=self.class_weight)
        steps = self.steps if self.steps is not None else self.content.batches
        batches = chain.from_iterable(self._passes(data, seed))
        return Handed((self._weighed(batch) for batch in batches), steps=steps)  # Keras wants a generator

    @cached_property
    def content(self) -> Content:
        """What is known of the data, from two looks at them, or three.

        Raises:
            InputError: they come out otherwise the second time under one seed, or are no batches.
        """
        found = self._look(0)
        if not found.batches:
            raise InputError(f"{self.name} is {self.kind} that gives no batch; let it give at least one")
        other = self._look(_OTHER_SEED)
        if found.digest == other.digest:
            return found
        steady = other.batches and self._look(_OTHER_SEED).digest == other.digest
        if not steady or other.by_workers:
            raise InputError(self._unsteady(other))
        return found._replace(follows_seed=True)

    def _look(self, seed: int) -> Content:
        """Go over the data as ``fit`` does.

        Raises:
            InputError: they raise, or are no batches.
        """
        try:
            with seeded(seed), drawn_under(seed):
                return self._looked(seed)
        except InputError:
            raise
        except Exception as error:
            raise InputError(
                f"{self.name} is {self.kind} that raised {type(error).__name__}: {said(error)}; mend it there"
            ) from error

    def _looked(self, seed: int) -> Content:
        digest, data, batches = hashlib.sha256(), self._opened(seed), 0
        first = data if isinstance(data, Split) else Split(None, None)
        if isinstance(data, Split):
            _add(digest, data)
            return Content(digest.hexdigest(), False, data, 1)
        for number, epoch in enumerate(islice(self._epochs(data, seed), self.passes)):
            digest.update(b"epoch")
            for index, batch in enumerate(epoch):
                parts = self._parts(batch, index)
                _add(digest, parts)
                first = parts if number == index == 0 else first
                batches += number == 0
        by_workers = getattr(data, "workers", 0) > 1 or bool(getattr(data, "use_multiprocessing", False))
        return Content(digest.hexdigest(), False, first, batches, by_workers)

    def _opened(self, seed: int) -> Any:
        """Return the data themselves: what the function returns, where one was given."""
        if not self.is_function:
            return self.given
        try:
            takes_seed = "seed" in inspect.signature(self.given).parameters
        except (TypeError, ValueError):
            takes_seed = False
        made = self.given(seed=seed) if takes_seed else self.given()
        kind = kind_of(made)
        if kind is None:
            return split(f"what {self.name}() returns as its data", made)
        if kind == FUNCTION:
            raise InputError(f"{self.name} is a function that returns a function; let it return the data")
        _refuse_endless(self.name, made, self.steps)
        return made

    @property
    def is_function(self) -> bool:
        """Whether the data are made anew for each run."""
        return self.kind == FUNCTION

    @property
    def is_py_dataset(self) -> bool:
        """Whether Keras reads the batches by their numbers, and can shuffle these."""
        return isinstance(self.given, keras.utils.PyDataset)

    def _epochs(self, data: Any, seed: int) -> Iterator[Iterator[Any]]:
        passes = self._passes(data, seed)
        if self.steps is None:
            return passes
        batches = chain.from_iterable(passes)
        return (islice(batches, self.steps) for _ in count())

    def _passes(self, data: Any, seed: int) -> Iterator[Iterator[Any]]:
        """Yield one pass over the batches after the other; what a function makes but once is made again."""
        given = [True]
        while given:  # else the data are exhausted
            given = []
            one = iter(data) if hasattr(data, "__iter__") else (data[i] for i in range(len(data)))
            yield _noting(one, given)
            if hasattr(data, "on_epoch_end"):
                data.on_epoch_end()
            if hasattr(data, "__next__"):
                data = self._opened(seed)

    def _parts(self, batch: Any, index: int) -> Split:
        """Return a batch as arrays.

        Raises:
            InputError: it is none, or holds NaN.
        """
        if index >= MOST_BATCHES and self.steps is None:
            raise InputError(
                f"{self.name} has not ended after {MOST_BATCHES} batches; {_steps_of(self.name)}"
            )
        batch = _plain(batch)
        if not isinstance(batch, tuple):
            batch = (batch,)
        if len(batch) > 3:
            raise InputError(f"{self.name} gives batches of {len(batch)} parts; let it give (x, y) or fewer")
        parts = Split(*(*batch, None)[: max(len(batch), 2)])
        for part in ("x", "y"):
            for place, array in leaves(getattr(parts, part)):
                refuse_not_finite(f"{part}{place} of batch {index + 1} of {self.name}", array)
        if self.class_weight is not None and len(batch) == 3:
            raise InputError(
                f"class_weight and sample weights of {self.name} are both given, and Keras takes one of the "
                "two; leave one of them away"
            )
        return parts

    def _weighed(self, batch: Any) -> tuple[Any, ...]:
        batch = _plain(batch)
        parts = batch if isinstance(batch, tuple) else (batch,)
        if self.class_weight is None:
            return parts
        return (*parts, class_weight_to_sample_weights(parts[1], self.class_weight))

    def _unsteady(self, found: Content) -> str:
        if found.by_workers:
            return (
                f"{self.name} is {self.kind} that draws random numbers in several workers, so what a run "
                "gets is chance; leave workers and use_multiprocessing away"
            )
        if self.is_function and not found.batches:
            return (
                f"{self.name} is a function that returns a generator anew that is exhausted; let it make the "
                "generator inside"
            )
        if self.is_function:
            return (
                f"{self.name} is a function whose data come out otherwise when it is called a second time "
                f"under the same seed, so both models would not train on the same; let it draw from "
                f"generators that follow the seed alone: {self.name}=lambda seed: ..."
            )
        fixed = (
            ", or fix the order: shuffle(..., seed=..., reshuffle_each_iteration=False)"
            if isinstance(self.given, tf.data.Dataset)
            else ""
        )
        return (
            f"{self.name} is {self.kind} whose batches come out otherwise the second time, as with a shuffle "
            "that begins anew, so both models would not train on the same data; pass a function that makes "
            f"it, {self.name}=lambda: ..., which is called in each run under its seed{fixed}"
        )


def _noting(batches: Iterator[Any], given: list[bool]) -> Iterator[Any]:
    """Yield batches, and note that there was one."""
    for batch in batches:
        if not given:
            given.append(True)
        yield batch


FUNCTION = "a function that makes the data"


def data_of(
    name: str,
    value: Any,
    *,
    steps: int | None = None,
    passes: int = 1,
    class_weight: Mapping[int, float] | None = None,
) -> Split | Feed:
    """Read an argument of `Training` that gives data.

    Args:
        name: the argument.
        value: arrays, or data that come in batches.
        steps: batches of an epoch, where the user says.
        passes: how many passes to compare.
        class_weight: class -> weight of its samples.

    Raises:
        InputError: it is neither.
    """
    if isinstance(value, Split | Feed):
        return value
    kind = kind_of(value)
    if kind is None:
        return weighed(name, split(name, value), class_weight)
    if hasattr(value, "__next__"):
        raise InputError(
            f"{name} is {kind}, which is exhausted after one pass, and every run needs the data; pass a "
            f"function that makes it: {name}=lambda: ..."
        )
    _refuse_endless(name, value, steps)
    return Feed(name, value, kind, steps, min(passes, 2), class_weight)


def kind_of(value: Any) -> str | None:
    """Return in words what kind of data in batches a value is; ``None`` for arrays, and what is no data."""
    if isinstance(value, tf.data.Dataset):
        return "a tf.data.Dataset"
    if isinstance(value, keras.utils.PyDataset):
        return f"a PyDataset ({type(value).__name__})"
    if is_of("torch", value) and hasattr(value, "batch_sampler"):
        return "a torch DataLoader"
    if isinstance(value, _CONTAINERS) or hasattr(value, "shape") or is_of("pandas", value):
        return None
    if hasattr(value, "__next__"):
        return f"a {type(value).__name__}"
    if hasattr(value, "__len__") and (hasattr(value, "__iter__") or hasattr(value, "__getitem__")):
        return f"an object with batches ({type(value).__name__})"
    return FUNCTION if callable(value) else None


def _refuse_endless(name: str, data: Any, steps: int | None) -> None:
    if steps is not None:
        return
    if isinstance(data, tf.data.Dataset):
        endless = bool(data.cardinality() == tf.data.INFINITE_CARDINALITY)
    else:
        endless = isinstance(data, keras.utils.PyDataset) and data.num_batches is None
    if endless:
        raise InputError(f"{name} is endless ({kind_of(data)} without a length); {_steps_of(name)}")


def _steps_of(name: str) -> str:
    says = {"train": "steps_per_epoch", "validation_data": "validation_steps"}.get(name)
    return "pass data that end, such as take(...)" if says is None else f"pass {says}="


def _plain(batch: Any) -> Any:
    """Return a batch in arrays and tuples."""
    if isinstance(batch, Mapping):
        return {key: _plain(one) for key, one in batch.items()}
    if isinstance(batch, list | tuple):
        return tuple(_plain(one) for one in batch)
    if batch is None:
        return None
    if is_of("torch", batch):
        batch = batch.detach().cpu()
    if isinstance(batch, tf.SparseTensor):
        batch = tf.sparse.to_dense(batch)
    if isinstance(batch, tf.RaggedTensor):
        return batch.numpy()
    return batch.to_numpy() if is_of("pandas", batch) else np.asarray(batch)


def _add(digest: Any, parts: Split) -> None:
    for place, array in leaves(tuple(parts), "data"):
        digest.update(place.encode())
        if array.dtype == object:  # texts, or rows of several lengths
            texts = [one if isinstance(one, bytes) else np.asarray(one).tolist() for one in array.flat]
            digest.update(repr(texts).encode())
        else:
            feed(digest, array)


@contextmanager
def drawn_under(seed: int) -> Iterator[None]:
    """Set the random state for what data draw, whatever a builder has drawn before; torch's comes back.

    Keras's own generators stay where the builder left them: what the model draws is not the data's.
    """
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what users' data draw from
    tf.random.set_seed(seed)
    torch: Any = sys.modules.get("torch")
    if torch is None:
        yield
        return
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    try:
        yield
    finally:
        torch.random.set_rng_state(state)


def content_digest(data: Split | Feed | None) -> str:
    """Return a digest of data, under one seed; that of no data where there are none."""
    if isinstance(data, Feed):
        return data.content.digest
    digest = hashlib.sha256()
    for place, array in leaves(tuple(data), "data") if data is not None else ():
        digest.update(place.encode())
        feed(digest, array)
    return digest.hexdigest()


def shown(data: Split | Feed) -> Split:
    """Return rows to look at: all of arrays, the first batch of others."""
    return data.content.first if isinstance(data, Feed) else data
