"""In which order rows come, and which of them together."""
