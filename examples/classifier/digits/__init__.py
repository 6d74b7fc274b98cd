"""Recognising handwritten digits."""
