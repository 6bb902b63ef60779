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

from nearfar.core.version import __version__

_HOMES = {
    "train": "nearfar.training.train", "load": "nearfar.models.loading", "evaluate": "nearfar.evaluation.evaluate",
    "train_seeds": "nearfar.training.seeds", "combine": "nearfar.downstream.ensemble",
    "Ensemble": "nearfar.models.ensemble", "tune": "nearfar.training.tuning",
    "classify": "nearfar.downstream.classify.classify", "Classifier": "nearfar.downstream.classify.classifier",
    "Embedder": "nearfar.models.embedder", "ContrastiveEmbedding": "nearfar.training.estimator",
    "Config": "nearfar.core.config", "NearfarError": "nearfar.core.errors", "NearfarWarning": "nearfar.core.errors",
}  # fmt: skip
__all__ = [*sorted(_HOMES), "__version__"]

if TYPE_CHECKING:
    from nearfar.core.config import Config
    from nearfar.core.errors import NearfarError, NearfarWarning
    from nearfar.downstream.classify.classifier import Classifier
    from nearfar.downstream.classify.classify import classify
    from nearfar.downstream.ensemble import combine
    from nearfar.evaluation.evaluate import evaluate
    from nearfar.models.embedder import Embedder
    from nearfar.models.ensemble import Ensemble
    from nearfar.models.loading import load
    from nearfar.training.estimator import ContrastiveEmbedding
    from nearfar.training.seeds import train_seeds
    from nearfar.training.train import train
    from nearfar.training.tuning import tune


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import nearfar`` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nearfar' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
