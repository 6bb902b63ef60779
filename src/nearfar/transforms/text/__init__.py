"""Random changes of texts."""
