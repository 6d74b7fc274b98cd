"""The ladder of checks: one module each, with ``observe``, ``compare`` and ``run``."""

from pytest_kerasequiv.keras_access.supported import require_keras

require_keras()
