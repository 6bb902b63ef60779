"""First steps without their consequences: faults in what was asked for are found, and the time is estimated."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from nearfar.core.config import Config
from nearfar.core.errors import ConfigError
from nearfar.core.registry import line_of_plugin
from nearfar.methods.embeddings import ViewBatch
from nearfar.objectives.kernel.checks import NotFinite
from nearfar.training.gradient_cache import chunks, joined
from nearfar.training.trainer import Trainer

TRIALS = 3  # steps that the time is estimated from, at most
SHARE = 0.05  # of the steps that are left; few steps of a large network are dear


@torch.no_grad()
def rehearse(trainer: Trainer, asked: Config) -> None:
    """Go through the first batch on copies, if `asked`, the config before decisions, has numbers only this can judge.

    Raises
    ------
    ConfigError
        It cannot be done; the message says why.
    TrainingError
        The loss is not finite.
    """
    views = {"add": list(asked.views.add)} if asked.views.add else {}
    views |= asked.views.overrides
    if trainer.world.size > 1 or not (asked.method or views or asked.model.encoder_options):
        return
    name = trainer.plan.record.name
    with _explained("the views cannot be made so", "views", views):
        batch = _batch(trainer)
    scratch = copy.deepcopy(trainer.learner).train()
    with _explained("the networks cannot take the views", "model.encoder_options", asked.model.encoder_options):
        parts = []
        for piece in chunks(batch, trainer.config.train.chunk or len(batch)):
            with trainer.cast():
                parts.append(scratch.project(piece))
    if not trainer.plan.record.trains:
        return
    embeddings = scratch.embeddings(joined(parts), batch)
    try:
        with _explained(f"{name} cannot compare so", "method", asked.method), trainer.cast():
            loss, _ = scratch.loss(embeddings, batch)
            scratch.loss(embeddings, replace(batch, progress=1.0))  # where schedules end
            scratch.after_step(embeddings, 1.0)
    except NotFinite as e:
        raise trainer.not_finite() from e
    trainer.check_finite(loss)


def _batch(trainer: Trainer) -> ViewBatch:
    """The first batch; in place of targets that are found with the first step it has some of the same shape."""
    batch = trainer.viewer.batch(trainer.sampler.batch(0, 0), 0, 0)
    if batch.taught is None and "targets" in trainer.positives.changing:
        return replace(batch, taught=torch.ones(len(batch), trainer.learner.dim, device=trainer.device))
    return batch


@contextmanager
def _explained(what: str, where: str, asked: Mapping[str, Any]) -> Iterator[None]:
    """Turn what is raised inside into a `ConfigError`, but for losses that are not finite and faults of plug-ins."""
    try:
        yield
    except NotFinite:
        raise
    except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError, AttributeError) as e:
        if line_of_plugin(e):
            raise
        why = str(e) if isinstance(e, ValueError | RuntimeError) else f"{type(e).__name__}: {e}"
        given = ", ".join(f"{key}={value}" for key, value in asked.items())
        raise ConfigError(f"{what}: {why}.", where=where, hint=f"Asked for was {given}." if given else None) from e


def expected_seconds(trainer: Trainer) -> float:
    """How long the steps that are left should take: views, gradient, the optimiser's step and what follows it."""
    left = trainer.plan.steps - trainer.position.step
    best = math.inf
    learner, optimizer = copy.deepcopy((trainer.learner, trainer.optimizer))
    for group in optimizer.param_groups:
        group["lr"] = 0.0  # all is computed, and no weight can leave its range
    for _ in range(min(TRIALS, math.ceil(SHARE * left))):
        began = time.perf_counter()
        batch = _batch(trainer)
        optimizer.zero_grad()
        with trainer.cast():
            loss, _, embeddings = learner(batch)
        loss.backward()
        if trainer.config.optim.clip:
            trained = [p for p in learner.parameters() if p.requires_grad]
            torch.nn.utils.clip_grad_norm_(trained, trainer.config.optim.clip, foreach=True)
        optimizer.step()
        learner.after_step(embeddings, 0.0)
        float(loss.detach())  # waits for the GPU
        best = min(best, time.perf_counter() - began)
    return best * left if left else 0.0
