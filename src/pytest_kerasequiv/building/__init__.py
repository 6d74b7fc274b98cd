"""Making the two models: builders, files, copies of live models, derived twins, compiling, input shapes."""
