"""Texts, and the tokenisers that make numbers of them."""
