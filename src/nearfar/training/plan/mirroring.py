"""Whether pictures may be mirrored: in photographs of things a mirrored picture is as likely, in writing it is not.

No label is read. Pictures are described by the orientations of their edges, and each is compared with the others of a
sample as it is and mirrored. Where left and right are free, both have their nearest neighbour equally near
(docs/results/pictures.md). What is unlikely when mirrored need not be another thing: faces in the light of one window
and rows that nearly repeat look handed too, so it is said how to mirror all the same.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from nearfar.core.errors import ConfigError
from nearfar.core.registry import MODALITIES
from nearfar.training.plan import recipes
from nearfar.transforms.image.flip import Flip
from nearfar.transforms.recipe import name_of

if TYPE_CHECKING:
    from nearfar.core.config import Config
    from nearfar.data.table import Column, Table
    from nearfar.methods.record import Method

ROWS = 2_000  # that are compared, at most
FEWEST = 100  # below, a share says little
ASKED, HANDED = 0.6, 0.75  # shares from which it is asked whether, and taken that, mirrored pictures are other things
SIDE, CELL, ORIENTATIONS = 32, 8, 8  # pixels of a picture and of a cell; cells overlap by half


def settled(config: Config, method: Method, table: Table, train: np.ndarray) -> tuple[Config, list[str]]:
    """The config with `views.flip` decided, and what to say of it."""
    views = config.views
    pictures = {n: c for n, c in table.columns.items() if recipes.takes(c, Flip())}
    if isinstance(views.flip, bool) and not pictures:
        raise ConfigError("there are no pictures that could be mirrored.", where="views.flip")
    if views.flip != "auto":
        return config, []
    open_views = replace(views, recipe=recipes.default(config, method, table), flip=None)
    made = recipes.recipes(table.columns, open_views)
    mirrored = {n: c for n, c in pictures.items() if any(name_of(t) == "flip" for own in made[n] for t in own)}
    shares = {n: share for n, c in mirrored.items() if (share := _share(c, train)) is not None}
    named = views.recipe != "auto" or "flip" in views.overrides or any(w.endswith("flip") for w in views.add)
    off = not named and any(s >= HANDED for s in shares.values())
    so = "views are not mirrored; --flip mirrors them" if off else (
        "views mirror them; pass --no-flip if a mirrored one is something else")  # fmt: skip
    said = [
        f"Views: {share:.0%} of the pictures{f' of {name!r}' * (len(table.columns) > 1)} are farther from the others "
        f"when they are mirrored; {so}."
        for name, share in shares.items() if share >= (HANDED if off else ASKED)
    ]  # fmt: skip
    return replace(config, views=replace(views, flip=False if off else None)), said


def _share(column: Column, train: np.ndarray) -> float | None:
    """`handed` of some training rows of different content, or None where these are few."""
    rows = train[np.sort(np.unique(column.hashes[train], return_index=True)[1])]
    if len(rows) < FEWEST:
        return None
    some = rows[:: -(-len(rows) // ROWS)]
    neutral = MODALITIES.get(column.modality).neutral
    return handed(neutral(*column.take(some, torch.device("cpu")), column.spec))


@torch.no_grad()
def handed(x: torch.Tensor) -> float:
    """Share of pictures whose mirrored copy is farther from the nearest other picture than they are; ties count half.

    `x` is (N, C, S, S); the share is about 0.5 where mirrored pictures are as likely as others.
    """
    own, mirrored = edges(x), edges(x.flip(-1))
    nearest = []
    for side in (own, mirrored):
        distances = torch.cdist(side, own)
        nearest.append(distances.fill_diagonal_(torch.inf).min(1).values)
    difference = nearest[1] - nearest[0]
    return float(((difference > 0).float() + 0.5 * (difference == 0)).mean())


def edges(x: torch.Tensor) -> torch.Tensor:
    """Histograms of the orientations of edges in overlapping cells, of unit length (N, D).

    After Dalal and Triggs 2005, of the mean of the channels: which side of an edge is darker does not matter. Orders of
    magnitude between edges are narrowed by the root, so that one strong edge is not all.
    """
    x = x.float().mean(1, keepdim=True)
    if x.shape[-1] != SIDE:
        x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")[:, 0]
    across, down = x[:, 1:-1, 2:] - x[:, 1:-1, :-2], x[:, 2:, 1:-1] - x[:, :-2, 1:-1]
    strength = (across.square() + down.square()).sqrt().clamp(min=1e-6)
    twice = torch.stack([across.square() - down.square(), 2 * across * down], 1) / strength[:, None]  # of the angle
    angles = torch.arange(ORIENTATIONS) * (2 * torch.pi / ORIENTATIONS)
    parts = torch.einsum("nchw,co->nohw", twice, torch.stack([angles.cos(), angles.sin()])).relu()
    return F.normalize(F.avg_pool2d(parts, CELL, CELL // 2).flatten(1).sqrt(), dim=1)
