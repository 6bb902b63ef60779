"""Transforms of time series (N, C, T)."""
