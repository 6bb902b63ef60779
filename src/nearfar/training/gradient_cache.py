"""Batches larger than memory: gradient caching (Gao et al. 2021, arXiv 2101.06983).

First every chunk of rows goes through the network without gradient, and the loss of the whole batch gives the
gradient with respect to the embeddings; then every chunk goes through again and takes its share of that gradient
back. The negatives are those of the full batch; memory is that of one chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.core.errors import ConfigError
from nearfar.core.randomness import derive
from nearfar.methods.embeddings import Embeddings, Maybe, Projections, ViewBatch
from nearfar.training.learner import Learner


def backward(
    learner: Learner, batch: ViewBatch, chunk: int, seed: int,
    cast: Callable[[], AbstractContextManager[object]] = nullcontext,
) -> tuple[torch.Tensor, dict[str, torch.Tensor], Embeddings]:  # fmt: skip
    """Loss of the whole batch, with the gradients of all parameters accumulated.

    Parameters
    ----------
    learner : Learner
    batch : ViewBatch
    chunk : int
        Rows of one chunk. Batch norm takes its statistics from each chunk, in both passes.
    seed : int
        Dropout draws the same in both passes, from this seed and the chunk's number.
    cast : callable
        The context of the forward passes, such as autocast. Each gets its own, and no backward pass is inside one:
        autocast would compute those of the objectives in its type too, and would hand weights that the first pass cast
        without gradient to the second one.

    Notes
    -----
    Without batch norm the result equals that of one pass. The twin sees every chunk once, the running statistics
    of batch norm are updated once, chunk by chunk.
    """
    before = {name: b.clone() for name, b in learner.branches.named_buffers()}
    if learner.predictor is not None:
        before |= {f"\0{name}": b.clone() for name, b in learner.predictor.named_buffers()}
    parts = []
    for i, views in enumerate(chunks(batch, chunk)):
        torch.manual_seed(derive(seed, i))
        with torch.no_grad(), cast():
            parts.append(learner.project(views))
    for name, buffer in learner.branches.named_buffers():
        buffer.copy_(before[name])
    if learner.predictor is not None:
        for name, buffer in learner.predictor.named_buffers():
            buffer.copy_(before[f"\0{name}"])

    whole = joined(parts)
    online = tuple(_leaf(z) for z in whole.online)
    predicted = online if learner.predictor is None else tuple(_leaf(z) for z in whole.predicted)
    embeddings = learner.embeddings(replace(whole, online=online, predicted=predicted), batch)
    with cast():
        loss, numbers = learner.judge(embeddings, batch)
    loss.backward()

    sides = (online,) if learner.predictor is None else (online, predicted)
    for i, views in enumerate(chunks(batch, chunk)):
        torch.manual_seed(derive(seed, i))
        with cast():
            again = learner.project(views, targets=False)
        outputs, gradients = [], []
        for side, results in zip(sides, (again.online, again.predicted), strict=False):
            for leaf, result in zip(side, results, strict=True):
                if leaf is not None and leaf.grad is not None and result.requires_grad:  # none of a locked encoder
                    outputs.append(result)
                    gradients.append(leaf.grad[i * chunk : (i + 1) * chunk].to(result.dtype))
        torch.autograd.backward(outputs, gradients)
    return loss.detach(), numbers, embeddings


def check_chunk(learner: Learner, chunk: int | None) -> None:
    """Raise a `ConfigError` where batch norm cannot take its statistics from so few rows."""
    if chunk is None:
        return
    groups = max(1, learner.record.bn_groups // learner.world.size)
    if chunk % groups:
        raise ConfigError(
            f"{chunk} rows cannot be shared by {groups} batch-norm groups.", where="train.chunk",
            hint=f"Take a multiple of {groups}.",
        )  # fmt: skip
    if chunk // groups < 2 and any(isinstance(m, _BatchNorm) for m in learner.modules()):
        raise ConfigError(
            "batch norm needs at least two rows.", where="train.chunk", hint=f"Take {2 * groups} or more."
        )


def chunks(batch: ViewBatch, chunk: int) -> Iterator[tuple]:
    """The views of so many rows, one piece after the other."""
    for start in range(0, len(batch), chunk):
        yield batch.rows(start, start + chunk)


def joined(parts: list[Projections]) -> Projections:
    """The projections of all pieces."""

    def join(side: str) -> tuple[Maybe, ...]:
        by_view = zip(*(getattr(p, side) for p in parts), strict=True)
        return tuple(None if pieces[0] is None else torch.cat(pieces) for pieces in by_view)

    return Projections(*(join(side) for side in ("features", "online", "predicted", "target")))


def _leaf(z: Maybe) -> Maybe:
    return None if z is None else z.detach().requires_grad_()
