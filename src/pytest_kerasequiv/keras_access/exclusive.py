"""One thread at a time: what is switched for a while in Keras and TensorFlow holds for the whole process."""

from __future__ import annotations

from threading import RLock

EXCLUSIVE = RLock()
"""Held by whoever builds or checks models: floatx, random functions and the like are changed meanwhile."""
