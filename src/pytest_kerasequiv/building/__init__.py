"""Making the two models: builders, files, copies of live models, derived twins, compiling, input shapes."""

from pytest_kerasequiv.keras_access.supported import require_keras

require_keras()
