"""Objectives: pure functions from embeddings, and who is positive, to a scalar. One file each.

Beside the function stands ``INFO`` (`nearfar.objectives.kernel.info.Objective`), which declares what the contract
tests and the collapse monitor have to know. What objectives share is described here, once; the docstring of a function
has its source, its formula, what it needs, its level without learning, and the parameters that are its own.

Parameters
----------
views : Views
    V tensors (N, D): embeddings of the same N rows; need not be of unit length unless an objective says so.
relation : Relation
    Group of each row: rows of one group are positives; ignored pairs are neither positive nor negative.
left, right : Tensor (N, D)
    The two sides of each row of pairs; need not be of unit length.
anchor, positive, negative : Tensor (N, D), (N, D), (N, K, D)
    Given triplets, with K negatives each.
predicted, targets : Views
    What a predictor gives for one view, and the target of the other, which gets no gradient.
scores, targets : Views
    Scores (N, K) of K prototypes or classes instead of embeddings.
temperature : Scalar
    τ > 0, in units of the similarity; a tensor gets a gradient.
similarity : str
    "cosine", "dot", "euclidean" or "squared_euclidean"; distances count negatively, so that more is always nearer.
world : World
    The other processes. A statistic runs over the rows of all; the average of the processes' gradients is that of the
    whole batch.

Returns
-------
loss : Tensor ()
    The mean over all anchors of the batch that have what the objective compares, such as a positive.
numbers : dict of str to Tensor ()
    Without gradient. Most have ``anchors``, how many there were, and ``positive``, their mean similarity with a
    positive.

Raises
------
ValueError
    An argument is not of the kind described (the message names it), or the batch has nothing to compare.
"""
