"""The variables of a model and what its preprocessing layers keep beside them."""
