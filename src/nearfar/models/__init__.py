"""A run folder, and the model in it."""
