"""The code of another git revision: exported, run by a process of its own, observed as a reference."""
