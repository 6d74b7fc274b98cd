"""The one exception for bad input."""


class InputError(ValueError):
    """An argument cannot be used: one paragraph names the argument, the value and the remedy."""

    __module__ = "pytest_kerasequiv"  # the name that a trace shows is the one to import it by
