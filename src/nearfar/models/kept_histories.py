"""What the users of a training took, kept in the run, so that a model recommends from its folder alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfar.core import files
from nearfar.core.errors import ConfigError, RunError
from nearfar.core.schema import fits
from nearfar.data.histories import Histories, histories_of

if TYPE_CHECKING:
    import torch

    from nearfar.data.table import Table

FILE = "histories.safetensors"
ARRAYS = {"indptr": np.int64, "indices": np.int32, "weight": np.float32, "part": np.int8}
NAMES = ("users", "items", "content")  # as JSON in bytes: names may hold any character


def save(table: Table, folder: Path) -> None:
    """Write the histories of a table into a run folder; nothing where its rows are no users.

    Times are left out, since the events stand in their order; of what is known of the items texts and numbers are kept.
    """
    histories = histories_of(table.first.cells)
    if histories is None or len(table.columns) > 1:
        return
    import torch

    part = np.zeros(len(histories.indices), np.int8) if histories.part is None else histories.part
    arrays = {name: getattr(histories, name) for name in ("indptr", "indices", "weight")} | {"part": part}
    content = {c: [_plain(cell) for cell in cells] for c, cells in histories.content.items()}
    named = {"users": list(histories.users), "items": list(histories.items), "content": content}
    tensors = {n: torch.from_numpy(np.ascontiguousarray(a, ARRAYS[n])) for n, a in arrays.items()}
    texts = {n: np.frombuffer(json.dumps(v).encode(), np.uint8) for n, v in named.items()}
    files.save_tensors(folder / FILE, tensors | {n: torch.from_numpy(t.copy()) for n, t in texts.items()}, {})


def _plain(cell: Any) -> Any:
    return cell if isinstance(cell, str | int | float) and cell == cell else None


def load(folder: Path | None) -> Histories:
    """What `save` wrote.

    Raises
    ------
    ConfigError
        The run has no histories: it was not trained on users and items.
    RunError
        The file is damaged, or holds something else.
    """
    if folder is None or not (folder / FILE).exists():
        raise ConfigError("the model keeps no users and what they took.", where=None if folder is None else str(folder),
                          hint="Train one: nearfar train ratings.csv --pair user_id item_id.")  # fmt: skip
    file = folder / FILE

    def check(header: Mapping[str, torch.Tensor]) -> None:
        if set(header) != {*ARRAYS, *NAMES} or any(t.ndim != 1 for t in header.values()):
            raise RunError("holds something else than histories.", where=str(file))
        for name, kind in ARRAYS.items():
            if str(header[name].dtype) != f"torch.{np.dtype(kind).name}":
                raise RunError(f"{name} holds {header[name].dtype}.", where=str(file))

    tensors = {n: t.numpy() for n, t in files.load_tensors(file, check)[0].items()}
    users, items, content = (files.json_of(tensors[n].tobytes(), str(file)) for n in NAMES)
    fits(users, list[str], str(file), "users")
    fits(items, list[str], str(file), "items")
    fits(content, dict[str, list[str | int | float | None]], str(file), "content")
    indptr, indices = tensors["indptr"], tensors["indices"]
    right = (
        len(indptr) == len(users) + 1 and indptr[0] == 0 and (np.diff(indptr) >= 0).all() and indptr[-1] == len(indices)
        and (not len(indices) or (indices.min() >= 0 and indices.max() < len(items)))
        and len(tensors["weight"]) == len(tensors["part"]) == len(indices)
        and all(len(cells) == len(items) for cells in content.values())
    )  # fmt: skip
    if not right:
        raise RunError("its histories do not fit together.", where=str(file))
    return Histories(users, items, indptr, indices, tensors["weight"], part=tensors["part"], content=content)


def titles(folder: Path | None) -> dict[str, str]:
    """What the items of a run are called; empty where it does not say."""
    return load(folder).titles() if folder is not None and (folder / FILE).exists() else {}
