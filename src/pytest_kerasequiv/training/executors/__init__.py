"""Where trainings run: local processes or a Dask scheduler."""
