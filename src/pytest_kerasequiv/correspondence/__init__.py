"""Which variable of the reference is which of the candidate."""
