"""What the checks `summary` and `weights` put side by side: rows, starts, vocabularies."""
