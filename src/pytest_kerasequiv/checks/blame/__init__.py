"""Naming the layer at fault: each is run alone on the tensors that the reference gave it."""
