"""The project is tested in the clones that `test_gate.py` makes of it, not where it lies."""

collect_ignore = ["project", "branches"]
