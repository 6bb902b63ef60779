"""Histories: which items a user took, in the order of time. A row is a user, and the items are ids of any kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypedDict

import numpy as np

from nearfar.core.errors import BadCell, DataError
from nearfar.core.schema import CLOSED, within
from nearfar.modalities import of_kind

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from nearfar.data.histories import Histories

NAME = "ids"
MILD, GENERAL = "none", "halves"
DEFAULT_METHOD = "mult_dae"
UNIT = 1000  # a weight of 1 as it is stored
LARGEST = 2**30  # of what is stored
ROOM = 2**26  # events in a table of all users, padding among them
SHORTEST = 50  # events that are kept of a user however many users there are
RAW = 2048  # dimensions of the raw input as numbers


class _Spec(TypedDict):
    items: list[str]
    length: Annotated[int, within(1, 2**24)]  # events that are kept of a user, the newest
    features: Annotated[int, within(0)]  # different ones of the items
    each: Annotated[int, within(1)]  # of an item at most
    events: Annotated[int, within(0)]  # of all users, in the rows that the spec was planned from


Spec = Annotated[_Spec, CLOSED]
recipes, takes = of_kind("ids")


def recognise(cells: Sequence[Any]) -> float:
    """Histories as the reading of interactions makes them: lists of (item, weight, time)."""
    there = [c for c in cells if not isinstance(c, list) or c]
    return float(bool(there) and all(isinstance(c, list) and isinstance(c[0], tuple) and len(c[0]) == 3 for c in there))


def plan(cells: Sequence[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The names of all items, and how many events are kept of a user: all, as far as ``ROOM`` allows."""
    from nearfar.data.histories import histories_of

    histories = histories_of(cells)
    if histories is None:
        raise DataError("this column holds no histories.", hint="Name users and items: --pair USER ITEM.")
    counts = np.diff(histories.of(0).indptr)
    longest = max(1, int(counts.max(initial=0)))
    length = options.get("length") or min(longest, max(SHORTEST, ROOM // max(1, len(cells))))
    events = int(np.minimum(counts, length).sum())
    found = known(cells)["content"]
    features, each = (0, 1) if found is None else (int(found.max(initial=0)), found.shape[1])
    return {"items": list(histories.items), "length": int(length), "features": features, "each": each, "events": events}


def decode(cell: Any, spec: Mapping[str, Any]) -> tuple[np.ndarray, None]:
    """The newest events of one user, oldest first, int32 (L, 2): number of the item and one, 0 where there is none,
    and its weight in thousandths.
    """
    return _decoded(cell, numbers(spec), spec["length"]), None


def decode_many(cells: Sequence[Any], spec: Mapping[str, Any]) -> tuple[np.ndarray, dict[int, str]]:
    """Many users at once, int32 (N, L, 2), and what is wrong with those that cannot be read, by their place."""
    known, bad = numbers(spec), {}
    values = np.zeros((len(cells), spec["length"], 2), np.int32)
    for i, cell in enumerate(cells):
        try:
            if isinstance(cell, BadCell):
                raise cell
            values[i] = _decoded(cell, known, spec["length"])
        except BadCell as e:
            bad[i] = str(e)
    return values, bad


_last: tuple[Any, dict[str, int]] = (None, {})  # names of a spec and their numbers, which are made once


def numbers(spec: Mapping[str, Any]) -> dict[str, int]:
    """Number of each item by its name."""
    global _last
    if _last[0] is not spec["items"]:
        _last = spec["items"], {name: i for i, name in enumerate(spec["items"])}
    return _last[1]


def _decoded(cell: Any, known: Mapping[str, int], length: int) -> np.ndarray:
    if not isinstance(cell, list | tuple):
        raise BadCell(f"is {type(cell).__name__}, no list of items")
    events = [e if isinstance(e, tuple) else (e, 1.0) for e in cell]
    found = [(known[str(e[0])] + 1, _stored(e[1] if len(e) > 1 else 1.0)) for e in events if str(e[0]) in known]
    if events and not found:
        raise BadCell(f"holds {len(events)} items, none of which the model knows, such as {events[0][0]!r:.40}")
    values = np.zeros((length, 2), np.int32)
    if found:
        values[: min(length, len(found))] = found[-length:]
    return values


def _stored(weight: float) -> int:
    return int(np.clip(round(float(weight) * UNIT), -LARGEST, LARGEST))


def of_histories(histories: Histories, spec: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Histories as they are decoded, int32 (N, L, 2), and which of their events are in it: the newest of known items.

    They are compared with the model's items by name, and L is what the longest takes up.
    """
    place, known = np.full(len(histories.items) + 1, -1), numbers(spec)
    place[:-1] = [known.get(name, -1) for name in histories.items]
    number, owner = place[histories.indices], histories.owner
    there = number >= 0
    later = np.cumsum(there[::-1])[::-1] - there  # known events that come later, of this and of all later users
    counts = np.bincount(owner[there], minlength=len(histories))
    ends = np.cumsum(counts[::-1])[::-1] - counts
    there &= later - ends[owner] < spec["length"]
    kept = np.bincount(owner[there], minlength=len(histories))
    values = np.zeros((len(histories), max(1, int(kept.max(initial=0))), 2), np.int32)
    slot = np.arange(int(kept.sum())) - (np.cumsum(kept) - kept)[owner[there]]
    values[owner[there], slot, 0] = number[there] + 1
    values[owner[there], slot, 1] = np.clip(np.round(histories.weight[there] * UNIT), -LARGEST, LARGEST)
    return values, there


def known(cells: Any) -> dict[str, Any]:
    """What is known of the items beside who took them: for ``setup`` of an encoder, which gets it by these names."""
    from nearfar.data.histories import histories_of
    from nearfar.data.item_content import features

    histories = histories_of(cells)
    return {"content": None if histories is None or not histories.content else features(histories.content)}


def views(
    values: torch.Tensor, geometry: None, recipe: tuple[Any, ...], draws: Any, spec: Mapping[str, Any]
) -> torch.Tensor:
    """One random view of each history, without gaps: (N, L', 2), L' what the longest takes up before."""
    from nearfar.transforms.ids import _events

    width = _events.width(values)
    for transform in recipe:
        if transform.kind == "ids":
            values = transform.apply(values, draws)
    return (_events.closed(values) if recipe else values)[:, :width]


def neutral(values: torch.Tensor, geometry: None, spec: Mapping[str, Any]) -> torch.Tensor:
    """The histories, as wide as the longest."""
    from nearfar.transforms.ids import _events

    return values[:, : _events.width(values)]


def default_recipe(spec: Mapping[str, Any]) -> str:
    return "halves"


def default_encoder(spec: Mapping[str, Any]) -> str:
    return "history"


def encoder_shape(spec: Mapping[str, Any]) -> dict[str, int]:
    return {"items": len(spec["items"])} | {k: spec[k] for k in ("length", "features", "each", "events")}


def raw_features(values: np.ndarray, spec: Mapping[str, Any]) -> np.ndarray:
    """Which items there are, rare ones counting more, folded to 2048 dimensions with signs: float32 (N, F)."""
    ids = values[:, :, 0].astype(np.int64)
    counts = np.bincount(ids.ravel(), minlength=len(spec["items"]) + 1)
    rarity = np.log((1 + len(ids)) / (1 + counts)) + 1
    mixed = (ids * 2654435761) % 2**32
    weight = np.where(mixed & 2**31, 1.0, -1.0) * (ids > 0) * rarity[ids]
    place = np.arange(len(ids))[:, None] * RAW + mixed % RAW
    folded = np.bincount(place.ravel(), weight.ravel(), len(ids) * RAW).reshape(len(ids), RAW)
    return (folded / np.maximum(1e-12, np.linalg.norm(folded, axis=1, keepdims=True))).astype(np.float32)


def thumbnail(values: np.ndarray, geometry: None, spec: Mapping[str, Any]) -> Image.Image:
    """The newest 256 items as 16 lines of 16 greys, the oldest first."""
    from PIL import Image

    ids = values[values[:, 0] != 0, 0].astype(np.int64)[-256:]
    shades = np.full(256, 255, np.uint8)
    shades[: len(ids)] = (ids * 2654435761 % 2**32 >> 24).astype(np.uint8)
    return Image.fromarray(shades.reshape(16, 16)).resize((64, 64), Image.Resampling.NEAREST)


def describe(spec: Mapping[str, Any]) -> str:
    return f"histories of at most {spec['length']:,} of {len(spec['items']):,} items"
