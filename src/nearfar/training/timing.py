"""How long a training will take, from a few steps that are thrown away."""

from __future__ import annotations

import copy
import math
import time
from typing import TYPE_CHECKING

from nearfar.training import optim

if TYPE_CHECKING:
    from nearfar.training.trainer import Trainer

TRIALS = 3  # steps that the time is estimated from


def expected_seconds(trainer: Trainer) -> float:
    """How long the steps that are left should take: views, gradient, the optimiser's step and what follows it."""
    left = trainer.plan.steps - trainer.position.step
    rows, best = trainer.sampler.batch(0, 0), math.inf
    learner, optimizer = copy.deepcopy((trainer.learner, trainer.optimizer))
    for group in optimizer.param_groups:
        group["lr"] = 0.0  # all is computed, and no weight can leave its range
    for _ in range(min(TRIALS, left)):
        began = time.perf_counter()
        batch = trainer.viewer.batch(rows, 0, 0)
        optimizer.zero_grad()
        with trainer.cast():
            loss, _, embeddings = learner(batch)
        loss.backward()
        if trainer.config.optim.clip:
            optim.clip([p for p in learner.parameters() if p.requires_grad], trainer.config.optim.clip)
        optimizer.step()
        learner.after_step(embeddings, 0.0)
        float(loss.detach())
        best = min(best, time.perf_counter() - began)
    return best * left if left else 0.0
