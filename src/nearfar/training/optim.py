"""Optimisers: which parameters decay, LARS, and their state by parameter name."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from nearfar.core.devices import eager
from nearfar.training.distributed import copy_into, whole

TRUST = 0.02  # of LARS, as in solo-learn's CIFAR settings


def build(module: nn.Module, name: str, lr: float, weight_decay: float, momentum: float = 0.9) -> torch.optim.Optimizer:
    """The optimiser called `name` for the trainable parameters of `module`."""
    # Weight decay does not touch vectors: biases, and scales and shifts of norms.
    trained = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() <= 1], "weight_decay": 0.0, "plain": True},
    ]
    groups = [g for g in groups if g["params"]]
    if name == "adamw":
        fused = not any(hasattr(p, "full_tensor") for p in trained)  # shards have no fused form on every device
        return RowsAdamW(groups, lr=lr, fused=fused)
    if name == "sgd":
        return eager(torch.optim.SGD)(groups, lr=lr, momentum=momentum, nesterov=momentum > 0)
    return Lars(groups, lr=lr, momentum=momentum)


class RowsAdamW(eager(torch.optim.AdamW)):
    """AdamW (Loshchilov & Hutter 2017, arXiv 1711.05101) that moves only the rows of a table that have a gradient.

    That is where a gradient is sparse: moments and decay of the other rows wait until these come again, so that a step
    costs what the batch holds and not what the table does. Other parameters are as in AdamW.
    """

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step."""
        tables = []
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None and p.grad.is_sparse:
                    tables.append((p, p.grad))
                    self._move(p, p.grad.coalesce(), group)
                    p.grad = None
        super().step()
        for p, gradient in tables:
            p.grad = gradient

    def _move(self, p: torch.nn.Parameter, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        rows, g = gradient.indices()[0], gradient.values()
        if not (state := self.state[p]):
            state |= {"step": torch.zeros(()), "exp_avg": torch.zeros_like(p), "exp_avg_sq": torch.zeros_like(p)}
        state["step"] += 1
        done, (first, second) = float(state["step"]), group["betas"]
        mean = state["exp_avg"][rows].lerp_(g, 1 - first)
        square = state["exp_avg_sq"][rows].mul_(second).addcmul_(g, g, value=1 - second)
        state["exp_avg"][rows], state["exp_avg_sq"][rows] = mean, square
        root = square.div(1 - second**done).sqrt_().add_(group["eps"])
        kept = p[rows] * (1 - group["lr"] * group["weight_decay"])
        p[rows] = kept.addcdiv_(mean, root, value=-group["lr"] / (1 - first**done))


class Lars(eager(torch.optim.Optimizer)):
    """SGD with momentum whose rate is scaled per layer (You et al. 2017, arXiv 1708.03888).

    The step of a weight w with gradient g (decay included) is scaled by ``TRUST · ‖w‖ / ‖g‖``, so that one step of rate
    1 moves it by that share of its norm. Groups marked ``plain`` (biases and norms) are not scaled.
    """

    def __init__(self, params: Any, lr: float, momentum: float) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": 0.0, "plain": False})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step."""
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            grads = [p.grad for p in params]
            if group["weight_decay"]:
                grads = torch._foreach_add(grads, params, alpha=group["weight_decay"])
            if not group["plain"]:
                w, g = torch._foreach_norm(params), torch._foreach_norm(grads)
                scales = [torch.where((a > 0) & (b > 0), TRUST * a / b, 1.0) for a, b in zip(w, g, strict=True)]
                grads = torch._foreach_mul(grads, scales)
            for p in params:
                if "momentum_buffer" not in self.state[p]:
                    self.state[p]["momentum_buffer"] = torch.zeros_like(p)
            velocity = [self.state[p]["momentum_buffer"] for p in params]
            torch._foreach_mul_(velocity, group["momentum"])
            torch._foreach_add_(velocity, grads)
            torch._foreach_add_(params, velocity, alpha=-group["lr"])


def state_tensors(optimizer: torch.optim.Optimizer, module: nn.Module) -> dict[str, torch.Tensor]:
    """The optimiser's state as ``parameter name/quantity`` → tensor, for a file that holds only tensors."""
    tensors = {}
    for name, p in module.named_parameters():
        for quantity, value in optimizer.state.get(p, {}).items():
            if value is not None:
                tensors[f"{name}/{quantity}"] = torch.as_tensor(whole(value))
    return tensors


def load_state_tensors(optimizer: torch.optim.Optimizer, module: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """The inverse of `state_tensors`."""
    parameters = dict(module.named_parameters())
    for key, value in tensors.items():
        name, _, quantity = key.rpartition("/")
        p = parameters[name]
        if value.shape == p.shape:
            local = torch.zeros_like(p)
            copy_into(local, value)
            value = local
        optimizer.state[p][quantity] = value
