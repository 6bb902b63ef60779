"""Transforms of sounds."""
