"""nearfar: contrastive learning of embeddings for any modality.

>>> import nearfar
>>> run = nearfar.train("photos/", method="simclr", out="runs/photos")     # doctest: +SKIP
>>> model = nearfar.load("runs/photos")                                    # doctest: +SKIP
>>> model.encode(["a.jpg", "b.jpg"]).shape                                 # doctest: +SKIP
(2, 512)

The functions are the verbs of the command, with the same arguments. What several of them take:

run : Embedder, Ensemble or path
    A model, or the folder of a run.
data : path, array, list, table
    A file, a folder, or whatever else ``docs/data.md`` lists.
out : path, optional
    Where the result is written; nothing is written without it.
cache : bool
precision : {"fp32", "bf16", "auto"}, optional
    Of a model that is named by its path: whether its vectors are kept, and in which precision it computes, see `load`.
quiet : bool
    Show no text on stderr; warnings come all the same, as `NearfarWarning`.
console : Console, optional
    Another place for text and progress.
command : str, optional
    What was typed, for the records of a run.

What they give is shown as the command shows it; ``as_dict()`` is what ``--json`` prints. Errors are `NearfarError`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nearfar.core.version import __version__

# Verbs whose function has another name: `eval` is Python's own word, `nearfar.methods` the folder of the methods.
RENAMED = {"eval": "evaluate", "methods": "list_methods"}
_HOMES = {
    "demo": "nearfar.downstream.demo", "train": "nearfar.training.verb", "evaluate": "nearfar.evaluation.evaluate",
    "tune": "nearfar.training.tuning", "search": "nearfar.downstream.search", "embed": "nearfar.downstream.embed",
    "classify": "nearfar.downstream.classify.classify", "views": "nearfar.training.preview.sheet",
    "list_methods": "nearfar.methods.catalogue", "config": "nearfar.core.listing",
    "doctor": "nearfar.downstream.doctor", "align": "nearfar.downstream.align",
    "ensemble": "nearfar.downstream.ensemble", "combine": "nearfar.downstream.ensemble",
    "recommend": "nearfar.downstream.recommend", "anomalies": "nearfar.downstream.anomalies",
    "export": "nearfar.downstream.export", "load": "nearfar.models.loading",
    "Ensemble": "nearfar.models.ensemble", "Classifier": "nearfar.downstream.classify.classifier",
    "Embedder": "nearfar.models.embedder", "ContrastiveEmbedding": "nearfar.training.estimator",
    "Config": "nearfar.core.config", "NearfarError": "nearfar.core.errors", "NearfarWarning": "nearfar.core.errors",
}  # fmt: skip
__all__ = [*sorted(_HOMES), "RENAMED", "__version__"]

if TYPE_CHECKING:
    from nearfar.core.config import Config
    from nearfar.core.errors import NearfarError, NearfarWarning
    from nearfar.core.listing import config
    from nearfar.downstream.align import align
    from nearfar.downstream.anomalies import anomalies
    from nearfar.downstream.classify.classifier import Classifier
    from nearfar.downstream.classify.classify import classify
    from nearfar.downstream.demo import demo
    from nearfar.downstream.doctor import doctor
    from nearfar.downstream.embed import embed
    from nearfar.downstream.ensemble import combine, ensemble
    from nearfar.downstream.export import export
    from nearfar.downstream.recommend import recommend
    from nearfar.downstream.search import search
    from nearfar.evaluation.evaluate import evaluate
    from nearfar.methods.catalogue import list_methods
    from nearfar.models.embedder import Embedder
    from nearfar.models.ensemble import Ensemble
    from nearfar.models.loading import load
    from nearfar.training.estimator import ContrastiveEmbedding
    from nearfar.training.preview.sheet import views
    from nearfar.training.tuning import tune
    from nearfar.training.verb import train


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import nearfar`` stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'nearfar' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
