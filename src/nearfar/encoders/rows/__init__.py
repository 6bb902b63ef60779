"""Encoders of rows of numbers."""
