"""Pretrained models of other libraries, used as they are: ``st:FOLDER``, ``timm:NAME@weights.safetensors`` …

The file of an encoder that defines ``offers(name)`` is a kind of such models (`nearfar.encoders.offer.Offer`); its
``recognises(path)`` says whether a folder or file without a word before it is one. What is opened here is an ordinary
`Embedder`, of the method "random", since nothing was trained.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core.config import Config, knobs
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.registry import ENCODERS, METHODS, MODALITIES
from nearfar.core.schema import fits
from nearfar.models import columns, stored

# What a training would decide, in the words of one that trains nothing; libraries compute in fp32 by default.
DECIDED = {
    "train.precision": "fp32", "train.device": "cpu", "train.epochs": 0, "train.batch_size": 2, "train.patience": 0,
    "train.threads": 1, "optim.lr": 1e-3, "optim.weight_decay": 0, "optim.final_decay": None,
    "data.depth": "8", "data.stream": False, "data.workers": 0, "data.ignore_duplicates": "off", "data.holdout": 0.0,
    "data.leave_out": "none", "data.normalise": "utterance", "model.fixed_weight": 1.0, "views.recipe": "none",
    "views.flip": None,
}  # fmt: skip

if TYPE_CHECKING:
    from nearfar.encoders.offer import Offer
    from nearfar.models.embedder import Embedder
    from nearfar.models.model import Model


def word_of(model: str | Path) -> str | None:
    """The word ``KIND:NAME`` of a pretrained model that is named so, or lies in a folder or file; None for any other.

    Raises
    ------
    ConfigError
        The path cannot be part of a word.
    """
    text = os.fspath(model)
    kind, colon, name = text.partition(":")
    name = os.path.expanduser(name)  # which a shell leaves as it is behind a colon
    if not os.path.exists(text):
        known = colon and kind.isidentifier() and kind in ENCODERS and hasattr(ENCODERS.get(kind), "offers")
        if known and not name:
            raise ConfigError(f"no model is named after {text!r}.", hint=f"For example {kind}:NAME.")
    else:
        path = Path(text)
        name = text
        kind = next((k for k in ENCODERS if getattr(ENCODERS.get(k), "recognises", lambda _: False)(path)), "")
        known = bool(kind)
    if not known:
        return None
    if "," in name:
        raise ConfigError("the path of a pretrained model cannot hold a comma.", where=text, hint="Rename the folder.")
    return f"{kind}:{name}"


def check_kind(word: str) -> None:
    """Raise an `UnknownName` where what stands before the colon of a path that is not there is no kind of models."""
    kind, _, _ = word.partition(":")
    if kind.isidentifier() and len(kind) > 1:  # of one letter it is a drive
        raise UnknownName("kind of pretrained model", kind, [k for k in ENCODERS if hasattr(ENCODERS.get(k), "offers")],
                          where=word)  # fmt: skip


def offer(word: str) -> Offer:
    """What the file of the encoder says of a model."""
    kind, _, name = word.partition(":")
    try:
        return ENCODERS.get(kind).offers(name)
    except ValueError as e:
        raise ConfigError(f"{e}.", where=word) from e


def opened(word: str) -> Embedder:
    """The model that ``KIND:NAME`` stands for, on the processor.

    Raises
    ------
    ConfigError
        There is no such model, its library is not installed, or a part of its files is missing or not supported; the
        message says which, and what to do.
    """
    from nearfar.models import branches
    from nearfar.models.embedder import Embedder

    offered = offer(word)
    kinds = {name: (modality, _spec(offered, name, word)) for name, (modality, _) in offered.columns.items()}
    config = Config()
    for path, value in DECIDED.items():
        config = config.set(path, value)
    nothing = {f.name: None for of, f, _ in knobs() if of == "data" and getattr(config.data, f.name) == "auto"}
    config = replace(config, data=replace(config.data, **nothing))  # other modalities, which it does not read
    given = {"pretrained": True, **offered.options}
    model = replace(config.model, method="random", encoder=word, encoder_options=given, fixed="none", positives="views")
    model, plans = columns.resolved(model, columns.plan(model, kinds))
    encoders = branches.encoders(plans, config.train.seed)
    for encoder in dict.fromkeys(encoders.values()):
        encoder.fetch()
    learnt = {k: v for e in dict.fromkeys(encoders.values()) for k, v in getattr(e, "numbers", {}).items()}
    numbers = {**offered.numbers, **learnt}
    networks, config = branches.Branches.of(encoders, None), replace(config, model=model)
    made = Embedder(config, kinds, networks, name=word, numbers=numbers, frozen=True)
    made.offer = offered
    return made


def _spec(offered: Offer, column: str, word: str) -> Mapping[str, Any]:
    """How the cells of a column are read."""
    modality, options = offered.columns[column]
    if column in offered.specs:
        made = {"modality": modality, "spec": dict(offered.specs[column])}
        fits(made, stored.Column, word, column, error=ConfigError)
        return made["spec"]
    named = offered.prompts.get(offered.prompt, "")
    return MODALITIES.get(modality).plan((), {**options, **({"prompt": named} if named else {})})


def by_directions(model: Model) -> bool:
    """Whether its vectors tell rows apart by their directions alone, whatever the spread of each dimension is.

    Those of other libraries' encoders do, with their weights or with what was learnt from these; and those of encoders
    that were taught the vectors of such a model, in its principal axes.
    """
    if all(METHODS.get(m.config.model.method).RECORD.positives == "teacher" for m in model.members):
        return True
    plans = (c for m in model.members for c in columns.plan(m.config.model, m.columns).values())
    return all(hasattr(c.entry, "offers") for c in plans)


def begins_pretrained(model: Model) -> bool:
    """Whether an encoder has the weights of a library, or what was learnt from them."""
    return any(c.pretrained for m in model.members for c in columns.plan(m.config.model, m.columns).values())


def is_pretrained(model: Model) -> bool:
    """Whether a model is one of another library, used as it is."""
    return all(getattr(m, "offer", None) is not None for m in model.members)
