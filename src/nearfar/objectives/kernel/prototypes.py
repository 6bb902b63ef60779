"""What objectives over prototypes share: one view's scores predict the other views' codes."""

from __future__ import annotations

import torch

from nearfar.objectives.kernel import checks
from nearfar.objectives.kernel.info import Compared, Scalar, Views
from nearfar.objectives.kernel.world import World, mean


def inputs(scores: Views, targets: Views) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Scores of all views, and those of the first of them by which the codes are made, without gradient."""
    xs = checks.same_shapes("scores", scores, None, least=2)
    ts = [t.detach() for t in checks.same_shapes("targets", targets, len(xs[0]))]
    if len(ts) > len(xs) or ts[0].shape != xs[0].shape:
        raise ValueError(
            f"targets: expected at most {len(xs)} of shape {tuple(xs[0].shape)}, got {len(ts)} of {tuple(ts[0].shape)}"
        )
    return xs, ts


def swapped(scores: Views, codes: Views, temperature: Scalar, world: World) -> Compared:
    """Mean over rows and pairs i ≠ j of the cross entropy of view i's softmax with view j's code; the codes' entropy.

    Cross entropy is linear in the code, so each view meets the sum of the others' codes once.
    """
    together, losses = sum(codes), []
    for i, x in enumerate(scores):
        others = together - codes[i] if i < len(codes) else together
        losses.append(-(others * torch.log_softmax(x / temperature, 1)).sum(1))
    pairs = len(codes) * (len(scores) - 1)
    local, count = mean(torch.stack(losses) * (len(scores) / pairs), None, world)
    entropy, _ = mean(torch.stack([-torch.xlogy(q, q).sum(1) for q in codes]), None, world)
    return local, {"anchors": count, "entropy": world.all_reduce(entropy.detach()) / world.size}
