"""Texts, and their tokenisers."""
