"""Repeated seeded training: the plan, the engines, the executors and the cache of finished runs."""

from pytest_kerasequiv.keras_access.supported import require_keras

require_keras()
