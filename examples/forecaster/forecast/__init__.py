"""Forecasting tomorrow's highest and lowest temperature in Seattle."""
