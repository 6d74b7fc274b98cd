"""How the twins are compiled: optimizers, losses and metrics as they are in force."""
