"""Where a run starts: initial weights, seed states and the order of rows."""
