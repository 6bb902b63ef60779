"""Users against items: what a model whose column holds histories says of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from nearfar.core import devices
from nearfar.core.errors import ConfigError
from nearfar.core.registry import MODALITIES

if TYPE_CHECKING:
    from nearfar.data.histories import Histories
    from nearfar.models.embedder import Embedder

ROWS = 256  # users that go through the network at once
NUMBERS = 2**24  # events of these, padding among them


def _column(model: Embedder) -> tuple[Any, Any, Any]:
    """The model's encoder of histories, its modality and spec; raises a `ConfigError` where it has none."""
    for name, (modality, spec) in model.columns.items():
        encoder = model.branches[name].encoder
        if hasattr(encoder, "candidates"):
            return encoder, MODALITIES.get(modality), spec
    raise ConfigError(f"{model.name} knows no items.", hint="Train one on users and items: --pair USER ITEM.")


def _tiles(histories: Histories, length: int) -> Iterator[slice]:
    rows = max(1, min(ROWS, NUMBERS // max(1, length)))
    yield from (slice(start, min(start + rows, len(histories))) for start in range(0, len(histories), rows))


@torch.no_grad()
def scores(model: Embedder, histories: Histories) -> np.ndarray:
    """Score of every item for every user, float32 (B, I), the items being those of `histories`, seen ones too.

    Items that the model does not know get −inf; a history of which it knows nothing is that of a user without one.
    """
    encoder, modality, spec = _column(model)
    number = modality.numbers(spec)
    place = np.asarray([number.get(name, -1) for name in histories.items], np.int64)
    table = encoder.candidates(torch.from_numpy(place[place >= 0]).to(model.device)).float()
    made = np.full((len(histories), len(place)), -np.inf, np.float32)
    for rows in _tiles(histories, spec["length"]):
        users = _users(model, histories.rows(np.arange(rows.start, rows.stop)), encoder, modality, spec)
        made[rows, place >= 0] = (users @ table.T).cpu().numpy()
    return made


def _users(model: Embedder, histories: Histories, encoder: Any, modality: Any, spec: Any) -> torch.Tensor:
    values = torch.from_numpy(modality.of_histories(histories, spec)[0]).to(model.device)
    with devices.autocast(torch.device(model.device), model.config.train.precision):
        return encoder(values).float()


@torch.no_grad()
def contributions(model: Embedder, histories: Histories, items: np.ndarray) -> list[np.ndarray] | None:
    """What each event of a user adds to the score of one item: float32 arrays, one a user; their sum is the score.

    `items` (B,) are numbers among those of `histories`. None where the encoder is not a sum over events.
    """
    encoder, modality, spec = _column(model)
    if not hasattr(encoder, "contributions"):
        return None
    number = modality.numbers(spec)
    asked = torch.as_tensor([number[histories.items[int(i)]] for i in items], device=model.device)
    values, there = modality.of_histories(histories, spec)
    events, vectors = encoder.contributions(torch.from_numpy(values).to(model.device))
    made = np.zeros(len(there), np.float32)
    made[there] = (vectors * encoder.candidates(asked)[events.rows]).sum(1).cpu().numpy()
    return np.split(made, histories.indptr[1:-1])


@torch.no_grad()
def item_vectors(model: Embedder) -> tuple[list[str], np.ndarray]:
    """The names of all items, and their vectors as they are compared with users', float32 (I, D)."""
    encoder, _, spec = _column(model)
    return list(spec["items"]), encoder.candidates().float().cpu().numpy()
