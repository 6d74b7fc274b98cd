"""The key of a run: everything that its result depends on, or none where that cannot be told soundly."""

from __future__ import annotations

import hashlib
import json
import platform
from functools import cached_property
from importlib import metadata
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from pytest_kerasequiv.building.told_apart import told_apart
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.keras_access.private_modules import config
from pytest_kerasequiv.program import Program
from pytest_kerasequiv.training.digests import feed
from pytest_kerasequiv.training.engines.support import own_step
from pytest_kerasequiv.training.feeds import content_digest, shown
from pytest_kerasequiv.training.plan import Training
from pytest_kerasequiv.training.starts.drawing import Starts
from pytest_kerasequiv.training.starts.reuse import blueprint, compiled_parts


class RunKeys:
    """Makes the keys of one twin's runs.

    The traced program stands for the layers, the loss and the gradient; the values of all variables under
    the seed
    are added in the program's canonical order, so that twins of one program with equal starts get equal keys.

    Args:
        model: the twin as it was traced.
        program: its traced program.
        plan: the plan.
        starts: where the twin starts under each seed.
        keep: whether somebody else will take the starts.
    """

    def __init__(
        self, model: keras.Model, program: Program, plan: Training, starts: Starts, *, keep: bool = False
    ) -> None:
        self._model = model
        self._program = program
        self._plan = plan
        self._starts = starts
        self._start = starts.of if keep else starts.take
        self._known: dict[int, str | None] = {}

    @cached_property
    def why_none(self) -> str | None:
        """Why the runs of this twin have no keys, ``None`` where they have."""
        if self._plan.fit is not None:
            return "they train with your own fit"
        if self._plan.callbacks is not None:
            return "they train with callbacks, whose code no key tells"
        following = [name for name, data in self._plan.feeds.items() if data.content.follows_seed]
        if following:
            return f"{following[0]} is drawn anew under each seed"
        if self._program.fingerprint is None:
            return f"their program is not proved ({self._program.reason})"
        own = own_step(self._model)
        if own is not None:
            return f"the model has its own {own}"
        if self._model.run_eagerly:
            return "the model runs eagerly"
        return self._foreign()

    def of(self, seed: int) -> str | None:
        """Return the key of the run under ``seed``."""
        if self.why_none is not None:
            return None
        if seed not in self._known:
            self._known[seed] = self._key(seed)
        return self._known[seed]

    def fits(self, seed: int, start: str) -> bool:
        """Tell whether a run with this digest of its start is the run that the key of ``seed`` stands for."""
        return start == self._starts.digest(seed)

    def _key(self, seed: int) -> str | None:
        start = self._start(seed)
        if start.blueprint != self._blueprint or len(start.values) != len(self._program.numbering):
            return None
        digest = hashlib.sha256(self._common)
        digest.update(f"seed {seed}".encode())
        for index in self._program.numbering:
            digest.update(start.digests[index])
        for order in start.orders:
            feed(digest, order)
        return digest.hexdigest()

    @cached_property
    def _blueprint(self) -> str:
        return blueprint(self._model)

    @cached_property
    def _common(self) -> bytes:
        """What all runs of the twin have in common."""
        plan = self._plan
        settings = {
            "program": self._program.fingerprint,
            "optimizer": _config(self._model.optimizer),
            "weights told apart": self._told_apart(),
            "compiled": self._compiled(),
            "fit": [plan.epochs, plan.batch_size, plan.shuffle, plan.steps_per_epoch, plan.validation_steps],
            "data": {name: data.kind for name, data in plan.feeds.items()},
            "validation_split": plan.validation_split,
            "class_weight": sorted((plan.class_weight or {}).items()),
            "engine": plan.engine_name,
            "surroundings": _surroundings(),
        }
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=repr).encode())
        for name in ("train", "test", "validation_data"):
            digest.update(f"{name} {content_digest(getattr(plan, name))}".encode())
        return digest.digest()

    def _told_apart(self) -> list[Any]:
        """Return by what the optimizer may know each weight, in the program's order of variables."""
        known = told_apart(self._model)
        entries = (known.get(str(index), {}) for index in self._program.numbering)
        return [[entry.get("treated"), entry.get("seen")] for entry in entries]

    def _compiled(self) -> Any:
        config = dict(self._model.get_compile_config())
        config.pop("optimizer", None)
        return config

    def _foreign(self) -> str | None:
        """Code of the user that neither the program nor a config describes."""
        if not is_keras(self._model.optimizer):
            return f"the optimizer {type(self._model.optimizer).__name__} is your own"
        for what, value in compiled_parts(self._model):
            weighted = shown(self._plan.train).sample_weight is not None or self._plan.class_weight
            in_program = what == "loss" and not weighted
            if not in_program and not isinstance(value, str) and not is_keras(value):
                return f"{what} {getattr(value, '__name__', type(value).__name__)} is your own"
        return None


def _config(thing: Any) -> Any:
    config = keras.saving.serialize_keras_object(thing)
    return {
        "class": config["class_name"],
        "config": {k: v for k, v in config["config"].items() if k != "name"},
    }


def _surroundings() -> dict[str, Any]:
    """Versions and settings that change results."""
    modules = {"keras": keras, "tensorflow": tf, "numpy": np}  # not the packages: tensorflow-cpu is another
    return {
        "versions": {name: module.__version__ for name, module in modules.items()}
        | {"pytest-kerasequiv": metadata.version("pytest-kerasequiv")},
        "python": platform.python_version(),
        "machine": [platform.machine(), platform.system()],
        "keras": [keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()],
        "determinism": config.is_op_determinism_enabled(),
    }
