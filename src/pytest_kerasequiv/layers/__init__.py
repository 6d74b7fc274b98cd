"""The layer graph of a model, and how the layers of two models correspond."""
