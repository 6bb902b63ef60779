"""Objectives: pure functions from embeddings, and who is positive, to a scalar. One file each.

An objective takes tensors, a `Relation` and a `World`, and returns the scalar loss and a dict of detached numbers.
Beside it stands ``INFO``, which says what the contract tests and the collapse monitor need to know.
"""
