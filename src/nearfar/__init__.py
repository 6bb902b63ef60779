"""nearfar: contrastive learning of embeddings for any modality.

>>> import nearfar
>>> run = nearfar.train("photos/", method="simclr", out="runs/photos")     # doctest: +SKIP
>>> model = nearfar.load("runs/photos")                                    # doctest: +SKIP
>>> model.encode(["a.jpg", "b.jpg"]).shape                                 # doctest: +SKIP
(2, 512)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "train": "nearfar.api", "load": "nearfar.api", "evaluate": "nearfar.api",
    "train_seeds": "nearfar.several", "combine": "nearfar.combining", "Ensemble": "nearfar.ensemble",
    "tune": "nearfar.tuning", "classify": "nearfar.classifying", "Classifier": "nearfar.classifier",
    "Embedder": "nearfar.embedder", "ContrastiveEmbedding": "nearfar.estimator",
    "Config": "nearfar.config", "NearfarError": "nearfar.errors", "NearfarWarning": "nearfar.errors",
}  # fmt: skip
__all__ = [*sorted(_HOMES), "__version__"]

if TYPE_CHECKING:
    from nearfar.api import evaluate, load, train
    from nearfar.classifier import Classifier
    from nearfar.classifying import classify
    from nearfar.combining import combine
    from nearfar.config import Config
    from nearfar.embedder import Embedder
    from nearfar.ensemble import Ensemble
    from nearfar.errors import NearfarError, NearfarWarning
    from nearfar.estimator import ContrastiveEmbedding
    from nearfar.several import train_seeds
    from nearfar.tuning import tune


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import nearfar`` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nearfar' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
