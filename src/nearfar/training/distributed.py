"""Processes: the one module that says ``torch.distributed``.

Several processes share the global batch: rank r owns a contiguous slice of it. Everything that compares rows gets a
`World`; everything else does not know how many processes there are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from nearfar.core import environment
from nearfar.core.errors import ConfigError, reason
from nearfar.objectives.kernel.world import World as OneProcess


class World(OneProcess):
    """A world of one process, with what the loop needs besides what objectives need."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def share(self, rows: int) -> slice:
        """This process's part of a global batch of `rows`."""
        per, extra = divmod(rows, self.size)
        start = self.rank * per + min(self.rank, extra)
        return slice(start, start + per + (self.rank < extra))

    def any(self, wishes: Sequence[bool]) -> list[bool]:
        """Of each wish, whether any process has it."""
        return list(wishes)

    def from_main(self, x: torch.Tensor) -> torch.Tensor:
        """Process 0's tensor; the others give one of the same type and number of axes."""
        return x

    def barrier(self) -> None:
        """Wait for the others."""


class ManyProcesses(World):
    """The world of an initialised process group."""

    def __init__(self) -> None:
        self.size, self.rank = dist.get_world_size(), dist.get_rank()
        self._device = "cuda" if dist.get_backend() == "nccl" else "cpu"  # what the backend can send

    def gather(self, x: torch.Tensor) -> torch.Tensor:
        """Rows of all processes in global order, with gradient; their numbers of rows may differ."""
        return _Gather.apply(x)

    def gather_int(self, x: torch.Tensor) -> torch.Tensor:
        return _gather(x.detach())[0]

    def all_reduce(self, x: torch.Tensor) -> torch.Tensor:
        return _AllReduce.apply(x)

    def any(self, wishes: Sequence[bool]) -> list[bool]:
        count = torch.tensor([int(w) for w in wishes], device=self._device)
        dist.all_reduce(count)
        return [c > 0 for c in count.tolist()]

    def from_main(self, x: torch.Tensor) -> torch.Tensor:
        shape = torch.tensor(x.shape, device=self._device)
        dist.broadcast(shape, 0)
        sent = x.to(self._device).contiguous() if self.rank == 0 else x.new_empty(shape.tolist(), device=self._device)
        dist.broadcast(sent, 0)
        return sent.to(x.device)

    def barrier(self) -> None:
        dist.barrier()


def _gather(x: torch.Tensor) -> tuple[torch.Tensor, list[int]]:
    x = x.contiguous()
    lengths = [torch.zeros(1, dtype=torch.long, device=x.device) for _ in range(dist.get_world_size())]
    dist.all_gather(lengths, torch.tensor([len(x)], device=x.device))
    counts = [int(c) for c in lengths]
    # all_gather wants equal shapes, and the last processes may have a row less.
    padded = x.new_zeros(max(counts), *x.shape[1:])
    padded[: len(x)] = x
    parts = [torch.empty_like(padded) for _ in counts]
    dist.all_gather(parts, padded)
    return torch.cat([p[:c] for p, c in zip(parts, counts, strict=True)]), counts


def _sum(x: torch.Tensor) -> torch.Tensor:
    x = x.contiguous().clone()
    dist.all_reduce(x)
    return x


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        whole, ctx.counts = _gather(x)
        return whole

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        # Every process uses every row, so a row's gradient is the sum over the processes.
        gradient = _sum(gradient)
        start = sum(ctx.counts[: dist.get_rank()])
        return gradient[start : start + ctx.counts[dist.get_rank()]]


class _AllReduce(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return _sum(x)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return _sum(gradient)


def world() -> World:
    """The world that this process is in."""
    return ManyProcesses() if dist.is_available() and dist.is_initialized() else World()


ANNOUNCED = ("RANK", "MASTER_ADDR", "MASTER_PORT")  # what stands beside WORLD_SIZE


def join_if_launched() -> None:
    """Join the process group that ``torchrun`` announced in the environment, if there is one."""
    size = environment.whole("WORLD_SIZE", 1, 1)
    if size == 1 or dist.is_initialized():
        return
    if lacking := [v for v in ANNOUNCED if not os.environ.get(v)]:
        hint = "torchrun sets these, and --processes needs none."
        raise ConfigError(f"there is no {lacking[0]} beside it.", where=environment.said("WORLD_SIZE"), hint=hint)
    environment.whole("RANK", 0, 0, size - 1)
    environment.whole("MASTER_PORT", 0, 1, 65535)
    if torch.cuda.is_available():
        torch.cuda.set_device(environment.whole("LOCAL_RANK", 0, 0, torch.cuda.device_count() - 1))
    try:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    except (ValueError, RuntimeError) as e:
        where = " ".join(map(environment.said, ANNOUNCED))
        raise ConfigError(f"the processes cannot be joined ({reason(e)}).", where=where) from e


def leave() -> None:
    """Leave the process group, if this process is in one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def wrap(module: nn.Module, on: torch.device, how: str = "ddp") -> nn.Module:
    """The module as it is called in a step: itself, or with its gradients averaged over the processes.

    ``ddp`` keeps a copy on every process; ``shard`` (FSDP2) splits the parameters of the encoders among them.
    """
    if world().size == 1:
        return module
    if how == "shard":
        from torch.distributed.fsdp import fully_shard

        fully_shard(module)
        return module
    ids = [on.index or 0] if on.type == "cuda" else None
    # Running statistics are averaged when they are saved, not sent in every step.
    return nn.parallel.DistributedDataParallel(module, device_ids=ids, broadcast_buffers=False)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Average the gradients over the processes, for a step that DDP does not see."""
    size = world().size
    if size == 1:
        return
    for p in parameters:
        if p.grad is not None:
            dist.all_reduce(p.grad)
            p.grad /= size


def average_buffers(module: nn.Module) -> None:
    """Make running statistics equal on all processes: the mean of theirs. What is `locked` is equal already."""
    size = world().size
    if size == 1:
        return
    locked = {id(b) for m in module.modules() if getattr(m, "locked", False) for b in m.encoder.buffers()}
    for name, buffer in module.named_buffers():
        if name.endswith(("running_mean", "running_var")) and id(buffer) not in locked:
            dist.all_reduce(buffer)
            buffer /= size


def full_state(module: nn.Module) -> dict[str, torch.Tensor]:
    """All parameters and buffers as whole tensors, by the plain module's names."""
    plain = module.module if isinstance(module, nn.parallel.DistributedDataParallel) else module
    return {k: whole(v) for k, v in plain.state_dict().items()}


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor, put together where it is sharded (all processes take part)."""
    return tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor


def load_state(module: nn.Module, state: dict[str, torch.Tensor]) -> None:
    """The inverse of `full_state`."""
    plain = module.module if isinstance(module, nn.parallel.DistributedDataParallel) else module
    current = plain.state_dict()
    if not any(hasattr(tensor, "device_mesh") for tensor in current.values()):
        plain.load_state_dict({name: state[name] for name in current if name in state})
        return
    with torch.no_grad():
        for name, tensor in current.items():
            copy_into(tensor, state[name])


def copy_into(target: torch.Tensor, whole: torch.Tensor) -> None:
    """Put a whole tensor into a plain or sharded one."""
    if hasattr(target, "device_mesh"):
        from torch.distributed.tensor import distribute_tensor

        whole = distribute_tensor(whole.to(target.device), target.device_mesh, target.placements)
    target.copy_(whole)


class _Synchronised:
    """Statistics over the rows of all processes, by a sum with gradient (torch's own refuses processors)."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        here, axes = world(), [0, *range(2, x.dim())]
        x32 = x.float() if x.dtype != torch.float64 else x  # sums of half precision lose digits
        shape = [1, -1, *[1] * (x.dim() - 2)]
        local = torch.cat([x32.sum(axes), x32.new_tensor([x.numel() / x.shape[1]])])
        total = here.all_reduce(local)
        mean, count = total[:-1] / total[-1], total[-1].detach()
        centred = x32 - mean.view(shape)
        var = here.all_reduce(centred.square().sum(axes)) / count
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean.to(self.running_mean.dtype), self.momentum)
            # As in torch, the running variance is the unbiased one.
            self.running_var.lerp_((var * count / (count - 1)).to(self.running_var.dtype), self.momentum)
        y = centred * torch.rsqrt(var + self.eps).view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(x.dtype)


class SynchronisedBatchNorm1d(_Synchronised, nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` over the rows of all processes."""


class SynchronisedBatchNorm2d(_Synchronised, nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` over the rows of all processes."""


SYNCHRONISED = {nn.BatchNorm1d: SynchronisedBatchNorm1d, nn.BatchNorm2d: SynchronisedBatchNorm2d}


def synchronise_batch_norm(module: nn.Module) -> None:
    """Let every batch norm of the module take its statistics over all processes."""
    for m in module.modules():
        if type(m) in SYNCHRONISED:
            m.__class__ = SYNCHRONISED[type(m)]


def alone(module: nn.Module) -> nn.Module:
    """The inverse of `synchronise_batch_norm`, for a copy that one process puts rows through by itself."""
    plain = {b: a for a, b in SYNCHRONISED.items()}
    for m in module.modules():
        if type(m) in plain:
            m.__class__ = plain[type(m)]
    return module
