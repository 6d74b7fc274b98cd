"""The one exception for bad input."""


class InputError(ValueError):
    """An argument cannot be used: one paragraph names the argument, the value and the remedy."""
