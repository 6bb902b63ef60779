"""What an embedding is for."""
