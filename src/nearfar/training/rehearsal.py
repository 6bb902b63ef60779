"""The first step without its consequences: numbers that a method, its views or networks cannot work with are found."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from nearfar.core.errors import ConfigError
from nearfar.core.registry import line_of_plugin
from nearfar.objectives.kernel.checks import NotFinite
from nearfar.training.gradient_cache import chunks, joined

if TYPE_CHECKING:
    from nearfar.core.config import Config
    from nearfar.training.trainer import Trainer


@torch.no_grad()
def rehearse(trainer: Trainer, asked: Config) -> None:
    """Go through the first batch on copies, if numbers were asked for that only this can tell to be right.

    Parameters
    ----------
    trainer : Trainer
    asked : Config
        As it was before anything was decided.

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
    name, rows = trainer.plan.record.name, trainer.sampler.batch(0, 0)
    with _told("the views cannot be made so", "views", views):
        batch = trainer.viewer.batch(rows, 0, 0)
    scratch = copy.deepcopy(trainer.learner).train()
    with _told("the networks cannot take the views", "model.encoder_options", asked.model.encoder_options):
        parts = []
        for piece in chunks(batch, trainer.config.train.chunk or len(batch)):
            with trainer.cast():
                parts.append(scratch.project(piece))
    if not trainer.plan.record.trains:
        return
    embeddings = scratch.embeddings(joined(parts), batch)
    try:
        with _told(f"{name} cannot compare so", "method", asked.method), trainer.cast():
            loss, _ = scratch.judge(embeddings, batch)
            scratch.judge(embeddings, replace(batch, progress=1.0))  # where schedules end
            scratch.after_step(embeddings, 1.0)
    except NotFinite as e:
        raise trainer.not_finite() from e
    trainer.check_finite(loss)


@contextmanager
def _told(what: str, where: str, asked: Mapping[str, Any]) -> Iterator[None]:
    """Whatever is raised inside as a `ConfigError`, but for what is told already and for faults of plug-ins."""
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
