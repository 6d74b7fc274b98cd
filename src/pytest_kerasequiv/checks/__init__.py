"""The ladder of checks: one module each, with ``observe``, ``compare`` and ``run``."""
