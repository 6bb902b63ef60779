"""The same as a scikit-learn transformer, for numeric rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from nearfar.core.console import QUIET
from nearfar.core.values import whole
from nearfar.data.objects import labels_of
from nearfar.methods.record import resolve
from nearfar.training import train

LEAST_ROWS = 4  # fewer have no negatives to speak of


class ContrastiveEmbedding(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Embedding of numeric rows learnt by contrast, as in SCARF (Bahri et al. 2021, arXiv 2106.15147).

    A view of a row is the row with some of its features replaced by other rows' values of them.

    Parameters
    ----------
    method : str, default="simclr"
        Any method of `nearfar methods`; those that learn from labels take them from `y`.
    n_components : int, default=64
        Dimensions of the embedding.
    width : int, default=128
        Of the hidden layers.
    layers : int, default=3
        Of the encoder.
    epochs : int, default=50
    batch_size : int, default=256
        At most half of the rows are taken.
    learning_rate : float, default=0.001
    corruption : float, default=0.6
        Share of a row's features that a view replaces.
    random_state : int, RandomState or None, default=0

    Attributes
    ----------
    model_ : nearfar.Embedder
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        If `X` had names.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from nearfar import ContrastiveEmbedding
    >>> X, y = load_iris(return_X_y=True)
    >>> ContrastiveEmbedding(epochs=2, n_components=8).fit_transform(X).shape
    (150, 8)
    """

    def __init__(
        self, method: str = "simclr", *, n_components: int = 64, width: int = 128, layers: int = 3, epochs: int = 50,
        batch_size: int = 256, learning_rate: float = 0.001, corruption: float = 0.6, random_state: Any = 0,
    ) -> None:  # fmt: skip
        self.method = method
        self.n_components = n_components
        self.width = width
        self.layers = layers
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.corruption = corruption
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> ContrastiveEmbedding:
        """Learn the embedding of the rows of `X` (n_samples, n_features).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), optional
            Labels, for methods that learn from them; others do not look at it. None, NaN, an empty text or what
            pandas calls missing is no class: the row is unlabelled.
        """
        self._columns = _columns(X)
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=LEAST_ROWS)
        learns_labels = resolve(self.method).positives == "labels"
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = int(check_random_state(seed).randint(2**31))
        batch = max(2, min(whole(self.batch_size, "batch_size", 2), len(X) // 2))
        trained = train.train(
            (X, _labels(y, len(X))) if learns_labels else X, quiet=True, method=self.method, encoder="mlp",
            encoder_options={"width": self.width, "layers": self.layers, "out": self.n_components},
            overrides={"corrupt": {"rate": self.corruption}}, epochs=self.epochs, batch_size=batch,
            lr=self.learning_rate, seed=int(seed), holdout=0.0, precision="fp32", device="cpu",
            checkpoint_every="never", bn_groups=1, shuffle=False,
        )  # fmt: skip
        self.model_ = trained.model
        self._n_features_out = self.n_components
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Embedding of the rows of `X`, float32 of shape (n_samples, n_components), not normalised."""
        check_is_fitted(self)
        X = validate_data(self, self._in_order(X), dtype=np.float64, reset=False)
        return self.model_.encode(X, normalize=False)

    def _in_order(self, X: Any) -> Any:
        """A table of named columns with those of `fit`, in their order; others are left out, with a warning."""
        names, there = self._columns, _columns(X)
        if not names or not set(names) <= set(there) or there == names or len(set(there)) < len(there):
            return X
        if extra := [str(c) for c in there if c not in names]:
            QUIET.warn(f"Left out: {', '.join(extra)}; the model was not trained on that.")
        return X[names]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # always float32
        return tags


def _columns(X: Any) -> list[Any]:
    """Names of the columns of a table, which may be numbers, of which scikit-learn keeps none."""
    names = list(getattr(X, "columns", ()))
    return names if all(isinstance(n, str | int) for n in names) else []


def _labels(y: Any, rows: int) -> Any:
    """One label a row, in which None or NaN is missing; the messages are those that scikit-learn's checks expect."""
    if y is None:
        raise ValueError("this method learns from labels: requires y to be passed, but the target y is None")
    labels = labels_of(y)
    numbers = labels[np.isfinite(labels)] if getattr(labels, "dtype", np.dtype(object)).kind == "f" else None
    if numbers is not None and (numbers != np.round(numbers)).any():
        raise ValueError("this method learns from classes: Unknown label type: continuous. Bring classes as y.")
    if len(labels) != rows:
        raise ValueError(f"y: expected {rows} labels, got {len(labels)}")
    return labels
