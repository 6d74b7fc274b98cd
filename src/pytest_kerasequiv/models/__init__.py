"""Looking at one Keras model, or building it: twins, layer graph, traced program, variables, probes."""
