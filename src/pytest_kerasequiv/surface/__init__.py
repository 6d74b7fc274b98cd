"""What a model takes: its inputs, what is known of them, and the batches it is tried on."""
