"""Random changes of histories."""
