"""What the numeric checks share: observing one side, comparing tensors, tolerances."""
