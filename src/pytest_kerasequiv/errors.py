"""The one exception for bad input."""


class InputError(ValueError):
    """An argument cannot be used: the message names the argument, the value and the remedy, in one paragraph."""
