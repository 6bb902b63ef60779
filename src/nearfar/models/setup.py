"""What encoders compute from the training rows and do not learn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.core import devices
from nearfar.core.registry import MODALITIES

if TYPE_CHECKING:
    from nearfar.data.table import Column
    from nearfar.models.branches import Branches

SCALED_BY = 1000  # rows


def begin(encoders: Mapping[str, Any], columns: Mapping[str, Column], rows: np.ndarray) -> None:
    """Give new encoders what they do not learn: weights of a library, and what they count in the training rows."""
    for encoder in dict.fromkeys(encoders.values()):
        if hasattr(encoder, "fetch"):
            encoder.fetch()
    set_up(encoders, columns, rows)


def set_up(modules: Mapping[str, Any], columns: Mapping[str, Column], rows: np.ndarray) -> None:
    """Let modules, by column, compute what they do not learn, such as weights of tokens by how often they come."""
    for module in dict.fromkeys(modules.values()):
        if not hasattr(module, "setup"):
            continue
        read_by = [columns[name] for name, m in modules.items() if m is module]
        some = _some(rows, getattr(module, "setup_rows", len(rows)))
        values, geometry = zip(*(c.take(some) for c in read_by), strict=True)
        geometry = None if geometry[0] is None else torch.cat(geometry)
        modality, spec = MODALITIES.get(read_by[0].modality), read_by[0].spec
        known = modality.known(read_by[0].cells) if hasattr(modality, "known") else {}
        module.setup(modality.neutral(torch.cat(values), geometry, spec), **known)


def scale(networks: Branches, columns: Mapping[str, Column], rows: np.ndarray, precision: str) -> None:
    """Bring fixed features to their weight beside those of the encoders as these are now, by some of the rows."""
    was = networks.training
    # As a model computes them: batch norms take no statistics from this, and nothing is dropped out.
    networks.eval()
    for name, branch in networks.items():
        if branch.fixed is not None:
            column, device = columns[name], branch.scale.device
            values, geometry = column.take(_some(rows, SCALED_BY), device)
            with devices.autocast(device, precision):
                branch.rescale(MODALITIES.get(column.modality).neutral(values, geometry, column.spec))
    networks.train(was)


def _some(rows: np.ndarray, most: int) -> np.ndarray:
    """At most so many of the rows, evenly over all."""
    return rows[:: max(1, -(-len(rows) // most))]


@contextmanager
def new_statistics(norms: Sequence[_BatchNorm]) -> Iterator[None]:
    """Within this context, batch norms in evaluation mode forget their statistics and take the plain mean of others."""

    def weigh_equally(norm: _BatchNorm, _inputs: object) -> None:
        # torch has momentum=None for this, which the synchronised batch norms of a training do not know.
        norm.momentum = 1 / (int(norm.num_batches_tracked) + 1)

    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.train()
    hooks = [norm.register_forward_pre_hook(weigh_equally) for norm in norms]
    yield
    for norm, hook, momentum in zip(norms, hooks, momenta, strict=True):
        hook.remove()
        norm.momentum = momentum
        norm.eval()
