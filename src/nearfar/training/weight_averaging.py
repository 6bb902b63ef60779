"""Means of weights as what a training leaves: over its last steps, and with those that the encoders began with.

The mean over the last steps is Izmailov et al. 2018, arXiv 1803.05407. The mean with the beginning is Wortsman et al.
2021, arXiv 2109.01903: what was learnt from few or narrow data stays nearer to what was there, and is better on others.
The weights that are trained stay as they are: the running mean is beside them and part of the checkpoint, and a mean
becomes the model at the end. Batch norm has seen other activations than its weights make, so its statistics are taken
again from the training rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from nearfar.core import devices
from nearfar.core.config import Config
from nearfar.data.batches.sampler import Sampler
from nearfar.methods.embeddings import ViewBatch
from nearfar.models.branches import Branches
from nearfar.models.setup import new_statistics
from nearfar.training import distributed, narrowing
from nearfar.training.learner import Learner
from nearfar.training.viewer import Viewer


class Average:
    """The running mean of the weights of encoders and projectors over a `share` of all steps, the last; 0 for none."""

    def __init__(self, share: float, steps: int) -> None:
        self.start = steps - max(1, round(share * steps)) if share and steps else steps
        self.count = 0  # steps in the mean
        self.mean: dict[str, torch.Tensor] = {}

    def follow(self, branches: Branches, step: int) -> None:
        """Take the weights after `step` steps into the mean, if it is late enough."""
        if step <= self.start:
            return
        weights = _weights(branches)
        self.count += 1
        if self.count == 1:
            self.mean = {name: w.clone() for name, w in weights.items()}
        else:
            torch._foreach_lerp_(list(self.mean.values()), [weights[name] for name in self.mean], 1 / self.count)

    def state(self, branches: Branches) -> dict[str, torch.Tensor]:
        """What a checkpoint keeps, whole tensors by the names of those trained; empty before there is a mean."""
        if not self.count:
            return {}
        whole = {n: distributed.whole(m) for n, m in self.mean.items()}
        means = {f"mean/{n}": m for n, m in narrowing.whole(branches, whole).items()}
        return means | {"count": torch.tensor(self.count)}

    def restore(self, tensors: dict[str, torch.Tensor], branches: Branches, step: int) -> None:
        """The inverse of `state`; a mean of steps that are not among the last ones any more is left behind."""
        if not tensors or step <= self.start:
            return
        self.count = int(tensors["count"])
        self.mean = {name: torch.empty_like(w) for name, w in _weights(branches).items()}  # laid out as they are
        means = narrowing.rows(branches, {k.removeprefix("mean/"): t for k, t in tensors.items()})
        for name, mean in self.mean.items():
            distributed.copy_into(mean, means[name])

    def give(self, branches: Branches, trained: Branches) -> None:
        """Make the mean of what was trained the weights of whole branches (all processes take part)."""
        means = self.state(trained)
        for name, weight in _weights(branches).items():
            weight.copy_(means[f"mean/{name}"])


@torch.no_grad()
def interpolate(branches: Branches, beginning: Branches, share: float, columns: Iterable[str]) -> None:
    """Bring the weights of these columns' encoders, whole ones, a share of the way back to those they began with."""
    encoders = {branches[c].encoder: beginning[c].encoder for c in columns}  # a shared one once
    for encoder, begun in encoders.items():
        first = dict(begun.named_parameters())
        for name, weight in encoder.named_parameters():
            if weight.requires_grad:
                weight.lerp_(first[name].to(weight.device), share)


@torch.no_grad()
def renew_statistics(learner: Learner, viewer: Viewer, sampler: Sampler, config: Config) -> None:
    """Take the statistics of the branches' batch norms from one epoch of training rows, seen as in training."""
    changed = [m for branch in learner.branches.values() for part in branch.learns for m in part.modules()]
    norms = [m for m in changed if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not norms:
        return
    train = config.train
    if learner.world.size > 1 and learner.record.bn_groups == 1 and not train.chunk:
        distributed.synchronise_batch_norm(learner)  # shards that were put together are not yet
    first, per_epoch = train.epochs * sampler.steps_per_epoch, sampler.steps_per_epoch
    order = sampler.order(train.epochs)
    with viewer.expecting(sampler, first, first + per_epoch):
        rows = (sampler.batch(train.epochs, index, order) for index in range(per_epoch))
        batches = (viewer.batch(some, train.epochs, index) for index, some in enumerate(rows))
        take_statistics(learner, norms, batches, config, targets=False)
    distributed.average_buffers(learner)  # those of groups are each process's own


def take_statistics(
    learner: Learner, norms: Sequence[_BatchNorm], batches: Iterable[ViewBatch], config: Config, *, targets: bool = True
) -> None:  # fmt: skip
    """Take the statistics of these batch norms from batches; `targets` tells whether the twin sees them too."""
    train = config.train
    learner.eval()
    with new_statistics(norms):
        for batch in batches:
            size = train.chunk or len(batch)
            with devices.autocast(torch.device(train.device), train.precision):
                for start in range(0, len(batch), size):
                    learner.project(batch.rows(start, start + size), targets=targets)


def _weights(branches: Branches) -> dict[str, torch.Tensor]:
    return {name: p.detach() for name, p in branches.named_parameters() if p.requires_grad}
