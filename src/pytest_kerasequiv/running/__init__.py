"""Running one model on given values and inputs, in its own dtype and in float64."""
