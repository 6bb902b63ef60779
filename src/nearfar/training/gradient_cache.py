"""Batches larger than memory: gradient caching (Gao et al. 2021, arXiv 2101.06983).

First every chunk of rows goes through the network without gradient, and the loss of the whole batch gives the
gradient with respect to the embeddings; then every chunk goes through again and takes its share of that gradient
back. The negatives are those of the full batch; memory is that of one chunk.
"""

from __future__ import annotations

from collections.abc import Callable
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

    Batch norm takes its statistics from each chunk of `chunk` rows, in both passes; without it the result equals that
    of one pass. `cast` gives the context of the forward passes, such as autocast.
    """
    # The first pass must leave no trace: what it does to running statistics the second one does again.
    networks = [m for m in (learner.branches, learner.predictor) if m is not None]
    before = [(b, b.clone()) for m in networks for b in m.buffers()]
    parts = []
    for i, views in enumerate(chunks(batch, chunk)):
        torch.manual_seed(derive(seed, i))  # dropout draws the same in both passes
        # Each forward pass gets a cast of its own, and no backward pass is inside one: autocast would compute the
        # objective's in its type too, and hand weights that the first pass cast without gradient to the second one.
        with torch.no_grad(), cast():
            parts.append(learner.project(views))
    for buffer, value in before:
        buffer.copy_(value)

    whole = joined(parts)
    online, predicted = (tuple(z if z is None else z.detach().requires_grad_() for z in side)
                         for side in (whole.online, whole.predicted))  # fmt: skip
    if learner.predictor is None:
        predicted = online
    embeddings = learner.embeddings(replace(whole, online=online, predicted=predicted), batch)
    with cast():
        loss, numbers = learner.loss(embeddings, batch)
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
    """Raise a `ConfigError` where batch norm cannot take its statistics from chunks of so many rows."""
    if chunk is None:
        return
    if learner.record.steps:
        raise ConfigError(f"{learner.record.name} compares steps of time, whose gradients are not kept by chunks.",
                          where="train.chunk", hint="Leave it out, or lower --batch-size.")  # fmt: skip
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


def chunks(batch: ViewBatch, chunk: int) -> list[tuple]:
    """The views of so many rows, one piece after the other."""
    return [batch.rows(start, start + chunk) for start in range(0, len(batch), chunk)]


def joined(parts: list[Projections]) -> Projections:
    """The projections of all pieces."""
    if len(parts) == 1:
        return parts[0]

    def join(side: str) -> tuple[Maybe, ...]:
        by_view = zip(*(getattr(p, side) for p in parts), strict=True)
        return tuple(None if pieces[0] is None else torch.cat(pieces) for pieces in by_view)

    steps, there = join("steps"), join("there")
    sides = (join(side) for side in ("features", "online", "predicted", "target"))
    return Projections(*sides, steps=steps, there=there)
