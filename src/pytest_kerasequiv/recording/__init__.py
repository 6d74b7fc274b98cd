"""What one side was observed to be and to do, in a file: a reference without its code."""
