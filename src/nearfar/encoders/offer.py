"""What an encoder's file says of a pretrained model, so that it can be used without training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Offer:
    """A pretrained model: what it reads, and how it wants that prepared.

    Parameters
    ----------
    columns : mapping of str to (modality, options)
        What it reads, by column, with the options of that modality's ``plan`` by which the input is prepared as it was
        for the model: the tokeniser and length of texts, the size and preprocessing of pictures. Such a plan looks at
        no data.
    options : mapping
        Options of the encoder, which `settle` takes beside its name.
    prompts : mapping of str to str
        Texts that are put before a text, by name, such as "query" and "document".
    prompt : str
        The name of the one that is used where none is named; "" for none.
    dimensions : tuple of int
        Numbers of first dimensions that the model was trained to be cut to.
    licence : str or None
        As the model's own files state it.
    specs : mapping of str to mapping
        The whole spec of columns where that is known, instead of options of the plan.
    numbers : mapping of str to float
        Numbers that were learnt beside the networks: ``temperature``, by which cosines of two columns are divided.
    """

    columns: Mapping[str, tuple[str, Mapping[str, Any]]]
    options: Mapping[str, Any] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)
    prompt: str = ""
    dimensions: tuple[int, ...] = ()
    licence: str | None = None
    specs: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)
