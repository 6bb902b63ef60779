"""Honest measurement: fixed protocols, one file each, with floors beside every figure.

A protocol's file has ``measure(train, test, *, seed) -> dict``: probes and galleries are fitted on `train`, test
rows are scored once and never chosen on; every setting stands beside its figure.
"""
