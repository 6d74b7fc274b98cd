"""Equivalence, difference, early stopping and planning: arrays in, numbers out, no Keras."""
