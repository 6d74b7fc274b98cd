"""The variables of a model as they are set up: layer, shape, dtype, trainability, initialiser."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pytest_kerasequiv.models.configs import fields_of
from pytest_kerasequiv.models.descriptions import describe, named_functions
from pytest_kerasequiv.models.fingerprints import is_keras
from pytest_kerasequiv.models.variables import is_seed, variables_of

if TYPE_CHECKING:
    import keras

INITIALISER_FIELDS = {
    "recurrent_kernel": ("recurrent_initializer",),
    "pointwise_kernel": ("pointwise_initializer",),
    "depthwise_kernel": ("depthwise_initializer",),
    "kernel": ("kernel_initializer", "depthwise_initializer"),
    "bias": ("bias_initializer", "unit_forget_bias"),
}
"""Variable -> the config fields that decide its initial value, where it is not ``<variable>_initializer``."""


@dataclass(frozen=True)
class VariableFacts:
    """One variable without its value.

    Attributes:
        layer: Keras path of the layer that owns it.
        name: its name in the layer, ``"kernel"``.
        shape: its shape.
        dtype: its dtype.
        trainable: whether training changes it.
        seed: it is the state of a seed generator.
        initialisers: config fields that decide its initial value -> canonical value; empty where the config
            does not tell. Of the user's own initialisers a digest of the code is among them.
        maker: class of the owner, with its code and attributes if it is the user's: they decide what the
            config does not tell.
    """

    layer: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    trainable: bool
    seed: bool
    initialisers: Mapping[str, Any]
    maker: str


def facts_of(model: keras.Model) -> tuple[VariableFacts, ...]:
    """Return the facts of `variables_of(model)`, in its order."""
    owners = {id(variable): (path, layer) for path, layer, variable in _owned(model, model.name, frozenset())}
    configs: dict[int, Mapping[str, Any]] = {}
    makers: dict[int, str] = {}
    facts = []
    for variable in variables_of(model):
        path, owner = owners.get(id(variable), (model.name, model))
        if id(owner) not in configs:
            configs[id(owner)], makers[id(owner)] = _config_of(owner), _maker(owner)
        facts.append(_facts(variable, path, makers[id(owner)], configs[id(owner)]))
    return tuple(facts)


def _maker(owner: Any) -> str:
    cls = type(owner)
    return cls.__name__ if is_keras(cls) else f"{cls.__name__} {describe(owner)['config']!r}"


def _facts(variable: Any, path: str, maker: str, config: Mapping[str, Any]) -> VariableFacts:
    fields = INITIALISER_FIELDS.get(variable.name, (f"{variable.name}_initializer",))
    fields = (*fields, *(f"{name}.code" for name in fields))
    return VariableFacts(
        layer=path,
        name=str(variable.name),
        shape=tuple(variable.shape),
        dtype=str(variable.dtype),
        trainable=bool(variable.trainable),
        seed=is_seed(variable),
        initialisers={name: config[name] for name in fields if name in config},
        maker=maker,
    )


def _owned(layer: Any, path: str, above: frozenset[int]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (path of the layer, layer, variable); the cell of a recurrent layer goes by the layer's path."""
    own = [*getattr(layer, "_trainable_variables", ()), *getattr(layer, "_non_trainable_variables", ())]
    own += [generator.state for generator in getattr(layer, "_seed_generators", ())]
    yield from ((path, layer, variable) for variable in own)
    above = above | {id(layer)}
    for inner in getattr(layer, "_layers", ()):
        if id(inner) in above:
            continue
        is_cell = getattr(layer, "cell", None) is inner
        yield from _owned(inner, path if is_cell else f"{path}/{inner.name}", above)


def _config_of(owner: Any) -> Mapping[str, Any]:
    try:
        fields = fields_of(owner.get_config())[0]
    except NotImplementedError:
        return {}
    return {**fields, **named_functions(owner, fields)}
