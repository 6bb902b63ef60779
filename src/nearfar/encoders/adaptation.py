"""What an encoder's file says of training its pretrained weights further, so that the defaults suit them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Adaptation:
    """What "auto" stands for where an encoder begins with pretrained weights, for one kind of supervision.

    An encoder's file declares ``ADAPTED``, a mapping of "labels", "scores", "pairs" or "views" (none of the others) to
    one of these. What somebody asks for stands above it.

    Parameters
    ----------
    method : str
        The method where none is named.
    numbers : mapping
        Of that method, such as ``{"temperature": 0.1}``; another method keeps its own.
    knobs : mapping of str to value
        Knobs that are "auto", by path, such as ``{"optim.lr": 5e-5, "train.batch_size": 64}``; no batch has
        more rows than there are, and those of ``model`` are for trainings of which no method is named.
    options : mapping
        Of the encoder, such as parts that stay as they are.
    steps : (int, int)
        What "auto" epochs come to at least and at most, in steps, but for one epoch, which is the least of many rows.
    epochs : int
        What "auto" is between these two.
    holdout : int
        Labelled or paired rows below which none are held out: a tenth of fewer tells no states apart.
    why : str
        What these values do, for the notes of a training.
    lighter : Adaptation, optional
        What is taken instead where training the weights does not fit into this machine's memory, such as adapters.
    """

    method: str
    steps: tuple[int, int]
    epochs: int
    numbers: Mapping[str, Any] = field(default_factory=dict)
    knobs: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    holdout: int = 0
    why: str = ""
    lighter: Adaptation | None = None
