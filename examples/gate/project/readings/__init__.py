"""Predicting a value from the readings of six sensors."""
