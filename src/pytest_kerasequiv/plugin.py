"""The pytest plugin: options, markers, the terminal section."""
