"""A model as the `mteb` package takes it: ``mteb.evaluate(as_mteb("runs/texts"), tasks)``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from nearfar.core.errors import library
from nearfar.downstream.export import column_of
from nearfar.models import loading

if TYPE_CHECKING:
    from nearfar.models.embedder import Embedder


def as_mteb(model: Embedder | str | Path, *, column: str | None = None, name: str | None = None) -> MtebModel:
    """A run or model as an encoder of `mteb` (Muennighoff et al. 2023, arXiv 2210.07316), for its tasks of texts.

    Parameters
    ----------
    model : Embedder, or path of a run
    column : str, optional
        Needed if the model has several columns of texts with encoders of their own.
    name : str, optional
        As results are filed under, ``nearfar/RUN`` by default.

    Raises
    ------
    ConfigError
        The model has no column of texts, or several.
    """
    model, _ = loading.opened(model)
    return MtebModel(model, column_of(model, "text", column), name or f"nearfar/{model.name}")


class MtebModel:
    """What `as_mteb` makes: ``mteb.models.EncoderProtocol``."""

    def __init__(self, model: Embedder, column: str, name: str) -> None:
        self.model, self.column, self.name = model, column, name

    def encode(self, inputs: Iterable[Any], *, batch_size: int = 256, **options: Any) -> np.ndarray:
        """Unit vectors, float32 (N, D), of texts, or of batches that have them as ``text``.

        A text without anything to read gives zeros, whose cosine with everything is 0. Further arguments (task,
        split, prompt type) change nothing: both sides of a task are encoded alike.
        """
        batches = [batch["text"] if isinstance(batch, Mapping) else batch for batch in inputs]
        texts = [text for batch in batches for text in ([batch] if isinstance(batch, str) else batch)]
        there = [i for i, text in enumerate(texts) if text.strip()]
        # Where there is nothing to encode, any text says how wide the zeros are.
        vectors = self.model.encode([texts[i] for i in there] or ["a"], column=self.column, batch_size=batch_size)
        z = np.zeros((len(texts), vectors.shape[1]), np.float32)
        z[there] = vectors[: len(there)]
        return z

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Cosines (N, M) of rows (N, D) and (M, D)."""
        return _unit(embeddings1) @ _unit(embeddings2).T

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """Cosines (N,) of rows (N, D) and those in the same places of (N, D)."""
        return (_unit(embeddings1) * _unit(embeddings2)).sum(1)

    @cached_property
    def mteb_model_meta(self) -> Any:
        """Name, revision (a hash of the weights), dimensions and sizes, as a ``ModelMeta`` of `mteb`.

        Raises
        ------
        ConfigError
            `mteb` is not installed.
        """
        meta = library("mteb.models.model_meta", None)
        revision = hashlib.blake2b(digest_size=6)
        for name, tensor in sorted(self.model.branches.state_dict().items()):
            numbers = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
            revision.update(name.encode() + numbers.data)
        return meta.ModelMeta.create_empty({
            "name": self.name, "revision": revision.hexdigest(), "framework": ["PyTorch"], "modalities": ["text"],
            "similarity_fn_name": meta.ScoringFunction.COSINE, "use_instructions": False,
            "embed_dim": int(self.encode(["a"]).shape[1]),
            "max_tokens": float(self.model.columns[self.column][1]["length"]),
            "n_parameters": sum(p.numel() for p in self.model.branches[self.column].parameters()),
        })  # fmt: skip


def _unit(rows: Any) -> torch.Tensor:
    return F.normalize(torch.atleast_2d(torch.as_tensor(rows).float()), dim=1)
