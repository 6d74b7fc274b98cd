"""What a model takes: its inputs in a fixed order, and packing arrays into the structure it expects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from pytest_kerasequiv.building.specs import Spec, flat_specs, input_specs
from pytest_kerasequiv.errors import InputError
from pytest_kerasequiv.keras_access.functional import core_of, inputs_structure


@dataclass(frozen=True)
class InputSpec:
    """One input tensor: its name, shape (batch axis first, ``None`` where free) and dtype."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.name}: shape {self.shape}, dtype {self.dtype}"


@dataclass(frozen=True)
class InputLayout:
    """All inputs of a model, flattened, and the structure (leaves are positions) it takes them in."""

    specs: tuple[InputSpec, ...]
    structure: Any
    known: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the inputs, in flattened order."""
        return tuple(spec.name for spec in self.specs)

    def pack(self, leaves: Sequence[Any]) -> Any:
        """Put flattened inputs into the structure the model takes."""
        return keras.tree.map_structure(lambda position: leaves[position], self.structure)


def input_layout(model: keras.Model) -> InputLayout:
    """Return what a built model takes; ``known`` is false where the model cannot tell."""
    tensors = _symbolic_inputs(model)
    if tensors is not None:
        return _from_tensors(tensors)
    specs = input_specs(model) or _built_specs(model)
    return InputLayout((), None, known=False) if specs is None else _from_specs(specs, _compute_dtype(model))


def _symbolic_inputs(model: keras.Model) -> Any:
    holder = core_of(model)
    if not getattr(holder, "inputs", None):
        return None
    structure = inputs_structure(model)
    return holder.inputs if structure is None else structure


def _from_tensors(structure: Any) -> InputLayout:
    flat = keras.tree.flatten(structure)
    names = _names(structure, [tensor.name for tensor in flat])
    specs = tuple(
        InputSpec(name, tuple(tensor.shape), str(tensor.dtype))
        for name, tensor in zip(names, flat, strict=True)
    )
    return InputLayout(specs, _positions(structure))


def _names(structure: Any, given: list[str]) -> list[str]:
    """Prefer the keys of a dict to the names of its tensors: callers pass the keys."""
    if isinstance(structure, Mapping) and len(structure) == len(given):
        return [str(key) for key in sorted(structure)]
    return given


def _positions(structure: Any) -> Any:
    """Return the structure with each leaf's position in flattened order (dicts by sorted key)."""
    return keras.tree.pack_sequence_as(structure, list(range(len(keras.tree.flatten(structure)))))


def _built_specs(model: keras.Model) -> Any:
    """Read the shape that a subclassed model was first called with; only the batch axis is free."""
    config = model.get_build_config() or {}
    shapes = (
        [config["input_shape"]] if "input_shape" in config else list(config.get("shapes_dict", {}).values())
    )
    if len(shapes) != 1 or not _is_shape(shapes[0]):
        return None  # a list or dict of inputs, or several call arguments: their structure is not told
    return Spec((None, *shapes[0][1:]))


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(item is None or isinstance(item, int) for item in value)


def _from_specs(specs: Any, dtype: str) -> InputLayout:
    flat = flat_specs(specs)
    names = [f"inputs_{position}" for position in range(len(flat))] if len(flat) > 1 else ["inputs"]
    if isinstance(specs, Mapping) and len(specs) == len(flat):
        names = [str(key) for key in sorted(specs)]
    known = tuple(InputSpec(n, s.shape, s.dtype or dtype) for n, s in zip(names, flat, strict=True))
    return InputLayout(known, _positions(specs))


def _compute_dtype(model: keras.Model) -> str:
    return str(model.compute_dtype or keras.config.floatx())


def checked_inputs(inputs: Any, layout: InputLayout) -> list[NDArray[np.generic]]:
    """Return the user's inputs, flattened in the model's order.

    Raises:
        InputError: the wrong number of inputs, unknown names, a wrong shape, samples of different counts, or
            a masked array.
    """
    if isinstance(inputs, Mapping):
        flat = _by_name(inputs, layout)
    else:
        flat = keras.tree.flatten(inputs) if isinstance(inputs, list | tuple) else [inputs]
    if layout.known and len(flat) != len(layout.specs):
        expected = "; ".join(map(str, layout.specs))
        raise InputError(
            f"inputs holds {len(flat)} arrays but the reference takes {len(layout.specs)}: {expected}"
        )
    if any(np.ma.is_masked(leaf) for leaf in flat):
        raise InputError(
            "inputs holds a masked array, whose mask Keras would not see; pass filled(...), and the mask as "
            "an input of its own where the model takes one"
        )
    arrays = [np.asarray(leaf) for leaf in flat]
    for array, spec in zip(arrays, layout.specs, strict=False):
        _check_array(array, spec)
    counts = {len(array) for array in arrays}
    if len(counts) != 1 or 0 in counts:
        lengths = ", ".join(str(len(array)) for array in arrays)
        raise InputError(
            f"inputs needs one non-empty batch with the same samples in every array; it holds {lengths}"
        )
    return arrays


def _by_name(inputs: Mapping[Any, Any], layout: InputLayout) -> list[Any]:
    if (
        layout.known
        and isinstance(layout.structure, Mapping | list | tuple)
        and _same_keys(inputs, layout.structure)
    ):
        return list(keras.tree.flatten({key: inputs[key] for key in sorted(inputs)}))
    if layout.known and set(map(str, inputs)) != set(layout.names):
        raise InputError(
            f"inputs names {sorted(map(str, inputs))} but the reference takes {list(layout.names)}"
        )
    named = {str(key): value for key, value in inputs.items()}
    return [named[name] for name in (layout.names or sorted(named))]


def _same_keys(inputs: Mapping[Any, Any], structure: Any) -> bool:
    return isinstance(structure, Mapping) and set(inputs) == set(structure)


def _check_array(array: NDArray[np.generic], spec: InputSpec) -> None:
    fits = array.ndim == len(spec.shape) and all(
        want is None or want == got for want, got in zip(spec.shape, array.shape, strict=True)
    )
    if not fits:
        raise InputError(
            f"inputs has shape {array.shape} for {spec.name!r}, which takes {spec.shape} (None: any size; "
            "the first axis is the batch); pass a batch as Model.predict takes it"
        )
    if array.dtype.kind not in "biufSUT" and array.dtype.name != "bfloat16":
        raise InputError(
            f"inputs for {spec.name!r} has dtype {array.dtype}; pass an array of numbers or of strings"
        )


def nan_in(arrays: Sequence[NDArray[np.generic]], layout: InputLayout) -> str | None:
    """Return which of `checked_inputs` holds NaN, in words; ``None`` where none does."""
    names = layout.names or tuple(str(position) for position in range(len(arrays)))
    for name, array in zip(names, arrays, strict=False):
        if array.dtype.kind == "f" and np.isnan(array).any():
            where = tuple(int(i) for i in np.argwhere(np.isnan(array))[0])
            return f"inputs for {name!r} holds {int(np.isnan(array).sum())} NaN, the first at index {where}"
    return None
