"""Settings that older Keras does not write into a layer's configuration.

Version switch: `optional` came with Keras 3.13, the others with 3.14; before, each layer did as the value
here says. Left out where they have that value, they part no layers that two versions described. Goes when the
floor is Keras 3.14.
"""

from __future__ import annotations

from typing import Any

AS_EVER: dict[str, Any] = {
    "optional": False,
    "renorm": False,
    "renorm_momentum": 0.99,
    "use_gate": False,
    "oov_method": "floormod",
}


def is_as_ever(name: str, value: Any) -> bool:
    """Tell whether a setting has the value that older Keras, which does not know it, has for good."""
    return name in AS_EVER and type(value) is type(AS_EVER[name]) and value == AS_EVER[name]
