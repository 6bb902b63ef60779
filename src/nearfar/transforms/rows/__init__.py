"""Random changes of rows of numbers."""
