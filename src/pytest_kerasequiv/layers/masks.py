"""Where masks come from and who reads them: Keras hands them on beside the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
from keras import tree

from pytest_kerasequiv.keras_access.functional import call_behind
from pytest_kerasequiv.keras_access.origin import is_keras
from pytest_kerasequiv.keras_access.private_modules import python_utils
from pytest_kerasequiv.keras_access.random_state import fresh_names

Tensor = tuple[int, int]
"""A tensor of the layer graph: node and output."""

Spec = tuple[tuple[int | None, ...], str]
"""Shape and dtype."""

READ_WITHIN = frozenset({"Multiply", "Maximum", "Minimum"})
"""Layers that read the masks of their inputs inside ``call``, not as an argument."""

FORGETTING = frozenset({"MultiHeadAttention", "GroupQueryAttention"})
"""Layers that take the mask off their inputs, for all that read these later."""


class Masks:
    """The mask that each tensor of a graph carries, as Keras computes it when the model runs.

    Keras puts masks on tensors while a model runs, and a symbolic call records only some of them: not those
    that come out of a nested model, and none for a layer that is called on several tensors. What a layer
    does to masks is asked of the layer itself (``compute_mask`` on symbolic stand-ins), so that custom
    layers count too.

    Args:
        spec: gives shape and dtype of a tensor of the graph.
        add: adds an operation that computes a mask to the graph and returns its first output.
    """

    def __init__(
        self, spec: Callable[[Tensor], Spec], add: Callable[[Any, Mapping[int, Tensor]], Tensor]
    ) -> None:
        self._spec = spec
        self._add = add
        self._of: dict[Tensor, Tensor] = {}

    def of(self, tensor: Tensor | None) -> Tensor | None:
        """Return the mask that a tensor carries."""
        return self._of.get(tensor) if tensor is not None else None

    def read(
        self, layer: Any, parameters: Mapping[str, Any], given: Sequence[tuple[str, Tensor]]
    ) -> list[tuple[str, Tensor]]:
        """Return (slot, mask) for the masks that a call reads without being given them."""
        slots = {slot for slot, _ in given}
        arguments = list(dict.fromkeys(slot.split(".")[0] for slot, _ in given))
        masked = [(slot, mask) for slot, tensor in given if (mask := self.of(tensor)) is not None]
        if not masked or any(slot.split(".")[0].endswith("mask") for slot in slots):
            return []
        if type(layer).__name__ in READ_WITHIN or not is_keras(type(layer)):
            return [(f"mask of {slot}", mask) for slot, mask in masked]
        if len(arguments) == 1:
            return [(slot.replace(arguments[0], "mask", 1), m) for slot, m in masked if "mask" in parameters]
        return [(f"{slot}_mask", mask) for slot, mask in masked if f"{slot}_mask" in parameters]

    def hand_on(
        self,
        layer: Any,
        first: Any,
        tensors: Mapping[int, Tensor | None],
        given_mask: Tensor | None,
        made: Sequence[Tensor],
    ) -> None:
        """Work out the masks of what a layer returns.

        Args:
            layer: the layer.
            first: its first call argument, with symbolic tensors.
            tensors: symbolic tensor -> tensor of the graph.
            given_mask: the mask that the call was given as an argument.
            made: the tensors that it returns.
        """
        passes_on = python_utils.is_default(layer.compute_mask)
        if not layer.supports_masking or (passes_on and not self._of and given_mask is None):
            return
        masks = [given_mask or self.of(tensors.get(id(tensor))) for tensor in tree.flatten(first)]
        if passes_on:
            self._of.update((t, mask) for t, mask in zip(made, masks, strict=False) if mask is not None)
            return
        for tensor, mask in zip(made, self._computed(layer, first, tensors, masks), strict=False):
            if mask is not None:
                self._of[tensor] = mask

    def forget(self, layer: Any, given: Sequence[tuple[str, Tensor]]) -> None:
        """Take the masks off the inputs of a layer that does so."""
        if type(layer).__name__ in FORGETTING:
            for _, tensor in given:
                self._of.pop(tensor, None)

    def pass_through(self, tensor: Tensor, converted: Tensor) -> None:
        """Give a converted tensor the mask of the original."""
        if tensor in self._of:
            self._of[converted] = self._of[tensor]

    def _computed(
        self, layer: Any, first: Any, tensors: Mapping[int, Tensor | None], masks: Sequence[Tensor | None]
    ) -> list[Tensor | None]:
        """Ask the layer, on stand-ins, and add the operations that its answer is made of."""
        known: dict[int, Tensor] = {}
        keep = []

        def stand_in(shape: Any, dtype: str, tensor: Tensor | None) -> Any:
            symbol = keras.KerasTensor(shape, dtype)
            keep.append(symbol)
            if tensor is not None:
                known[id(symbol)] = tensor
            return symbol

        flat_masks = [None if mask is None else stand_in(*self._spec(mask), mask) for mask in masks]
        inputs = tree.map_structure(lambda t: stand_in(t.shape, t.dtype, tensors.get(id(t))), first)
        previous = flat_masks[0] if not tree.is_nested(first) else tree.pack_sequence_as(first, flat_masks)
        with fresh_names():
            answer = layer.compute_mask(inputs, previous)
        return [None if part is None else self._resolved(part, known) for part in _flat(answer)]

    def _resolved(self, symbol: Any, known: dict[int, Tensor]) -> Tensor:
        if id(symbol) not in known:
            _, call = call_behind(symbol)
            for tensor in call.input_tensors:
                self._resolved(tensor, known)
            known[id(symbol)] = self._add(call, known)
        return known[id(symbol)]


def _flat(answer: Any) -> list[Any]:
    return list(answer) if isinstance(answer, list | tuple) else [answer]
