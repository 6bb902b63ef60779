"""Which encoder each column gets, and the branches that follow from a config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nearfar.core import values
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.randomness import derive
from nearfar.core.registry import ENCODERS, FIXED, MODALITIES, TOKENISERS
from nearfar.methods import record
from nearfar.models import room

if TYPE_CHECKING:
    from nearfar.core.config import Config, ModelConfig
    from nearfar.core.registry import Registry
    from nearfar.methods.parts import Head

Fixed = tuple[Mapping[str, nn.Module], float]
Kinds = Mapping[str, tuple[str, Mapping[str, Any]]]  # modality and spec by column


def named(text: str, columns: Kinds) -> dict[str, str]:
    """The encoder of each column that ``pooled_cnn,static`` or ``caption=static`` or ``auto`` says.

    Of encoders without a column, the first that takes a column's modality is its encoder; where none does, the
    modality's own.

    Raises
    ------
    UnknownName
        There is no such encoder or column; the nearest is proposed.
    ConfigError
        An encoder takes the input of no column.
    """
    for_column, for_any = {}, []
    for word in filter(None, (w.strip() for w in text.split(","))):
        column, equals, name = word.rpartition("=")
        if equals and column not in columns:
            raise UnknownName("column", column, columns, where="model.encoder")
        if name == "auto":
            continue
        entry = ENCODERS.get(name.partition(":")[0])
        fitting = [c for c in ([column] if equals else columns) if columns[c][0] in entry.MODALITIES]
        if not fitting:
            modality = columns[column if equals else next(iter(columns))][0]
            others = [e for e in ENCODERS if modality in ENCODERS.get(e).MODALITIES]
            raise ConfigError(
                f"the encoder {name.partition(':')[0]!r} does not take {modality} input.", where="model.encoder",
                hint=f"These do: {', '.join(others)}.",
            )  # fmt: skip
        if equals:
            for_column[column] = name
        else:
            for_any.append(name)
    found = {}
    for column, (modality, spec) in columns.items():
        fits = (n for n in for_any if modality in ENCODERS.get(n.partition(":")[0]).MODALITIES)
        found[column] = for_column.get(column) or next(fits, None) or MODALITIES.get(modality).default_encoder(spec)
    return found


def check(text: str, options: Mapping[str, Any], where: str = "model.encoder") -> None:
    """See whether the encoders that are named exist, before the data are read.

    Raises
    ------
    UnknownName, ConfigError
        There is no such encoder, or its library has no such model.
    """
    for word in filter(None, (w.strip().rpartition("=")[2] for w in text.split(","))):
        if word == "auto":
            continue
        name, _, variant = word.partition(":")
        if name not in ENCODERS:
            raise UnknownName("encoder", name, ENCODERS, where=where)
        if hasattr(ENCODERS.get(name), "check"):
            try:
                ENCODERS.get(name).check(variant or str(options.get("name", "")))
            except ValueError as e:
                raise ConfigError(f"the encoder {word!r} cannot be built: {e}.", where=where) from e


def tokens(model: ModelConfig, asked: str | None) -> str:
    """The tokeniser of texts that the encoders ask for where the user asks for none."""
    wanted = {}
    for word in filter(None, (w.strip() for w in model.encoder.split(","))):
        name, _, variant = word.rpartition("=")[2].partition(":")
        kind = getattr(ENCODERS.get(name), "TOKENS", None) if name != "auto" else None
        if kind:
            wanted[f"{kind}:{variant}" if kind == "transformers" else kind] = word
    if (asked or "auto") != "auto" or not wanted:
        return asked or "auto"
    if len(wanted) > 1:
        raise ConfigError(
            f"the encoders {' and '.join(wanted.values())} have different tokenisers.", where="model.encoder",
            hint="Say which with data.tokens.",
        )  # fmt: skip
    return next(iter(wanted))


def options_of(model: ModelConfig, column: str, columns: Kinds) -> dict[str, Any]:
    """Further arguments of a column's encoder: its own where `encoder_options` has them by column, else all."""
    options = model.encoder_options
    if len(columns) > 1 and any(c in options for c in columns):
        options = values.of_kind(dict, options.get(column, {}), f"model.encoder_options.{column}")
    return dict(options)


def settled(model: ModelConfig, columns: Kinds, begins: bool = True) -> ModelConfig:
    """The config's encoders without any "auto", and with all that they need to be built from a run's folder alone.

    A training that `begins` takes the defaults that stand beside fixed features; one that goes on has its own.
    """
    names = named(model.encoder, columns)
    options = {}
    for column, name in names.items():
        module, _, variant = name.partition(":")
        own = options_of(model, column, columns)
        entry = ENCODERS.get(module)
        if model.fixed != "none" and begins:
            own = {**getattr(entry, "BESIDE", {}), **_of_tokens(entry, columns[column][1]), **own}
        options[column] = (
            entry.settle({"name": variant, **own} if variant else own) if hasattr(entry, "settle") else own
        )
    share = True if model.share == "auto" else model.share
    if model.fixed != "none" and begins:
        more = [_of_tokens(FIXED.get(model.fixed), spec) for _, spec in columns.values()]
        model = replace(model, fixed_options={k: v for m in more for k, v in m.items()} | dict(model.fixed_options))
    if len(columns) == 1:
        (name,), (own,) = names.values(), options.values()
        return replace(model, encoder=name, encoder_options=own, share=share)
    alike = all(o == options[next(iter(columns))] for o in options.values())
    return replace(
        model, encoder=",".join(f"{c}={n}" for c, n in names.items()),
        encoder_options=next(iter(options.values())) if alike else options, share=share,
    )  # fmt: skip


def leaders(model: ModelConfig, columns: Kinds) -> dict[str, str]:
    """For each column the first one that has the same encoder: itself, or one of its kind if columns share."""
    names, found = named(model.encoder, columns), {}
    for column, kind in columns.items():
        own = (kind, names[column], options_of(model, column, columns))
        alike = (c for c in found if (columns[c], names[c], options_of(model, c, columns)) == own)
        found[column] = next(alike, column) if model.share else column
    return found


def encoders(model: ModelConfig, columns: Kinds, seed: int) -> dict[str, torch.nn.Module]:
    """Fresh encoders by column, drawn from the seed; columns of one kind have the same one if the config says so."""
    torch.manual_seed(derive(seed, "weights"))
    names, made = named(model.encoder, columns), {}
    for column, leader in leaders(model, columns).items():
        own = options_of(model, column, columns)
        made[column] = made[leader] if leader in made else _built(ENCODERS, names[column], own, *columns[column])
    return made


def _of_tokens(entry: ModuleType, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a column's tokeniser says beside fixed features, as far as an encoder, or these, have such options."""
    if "tokeniser" not in spec:
        return {}
    said = getattr(TOKENISERS.get(spec["tokeniser"]["kind"]), "beside", lambda spec: {})(spec["tokeniser"])
    return {k: v for k, v in said.items() if k in values.settable(entry.build)}


def _built(
    of: Registry, name: str, options: dict[str, Any], modality: str, spec: Mapping[str, Any]
) -> torch.nn.Module:
    """One encoder, its weights drawn from torch's global generator, or one kind of fixed features."""
    where = "model.fixed" if of is FIXED else "model.encoder"
    what = f"the {of.kind}"
    module, _, variant = name.partition(":")
    build, shape = of.get(module).build, MODALITIES.get(modality).encoder_shape(spec)
    given = {**shape, **({"name": variant} if variant else {}), **options}
    if taken := [k for k in shape if given[k] != shape[k]]:
        raise ConfigError(f"is {shape[taken[0]]!r}, as the data are.", where=f"{where}_options.{taken[0]}")
    given = values.options(build, given, f"{where}_options")
    if "pretrained" not in values.settable(build):  # those are as large as their files
        room.check(lambda: build(**given), f"{what} {name!r}", f"{where}_options")
    try:
        built = build(**given)
    except (TypeError, ValueError, RuntimeError, LookupError, ArithmeticError) as e:
        raise ConfigError(f"{what} {name!r} cannot be built: {e}.", where=where) from e
    if any(not t.numel() for t in (*built.parameters(), *built.buffers())):
        raise ConfigError(f"{what} {name!r} has a layer of width 0.", where=f"{where}_options",
                          hint="Widths and numbers of features are at least 1.")  # fmt: skip
    if not hasattr(built, "out_features"):
        raise ConfigError("the network that 'build' gives has no 'out_features'.", where=of.get(module).__file__)
    return built


def fixed(model: ModelConfig, columns: Kinds) -> Fixed:
    """What stands beside the encoders and is not trained, by column, and its weight."""
    if model.fixed == "none":
        return {}, 1.0
    built: dict[str, torch.nn.Module] = {}
    for column, leader in leaders(model, columns).items():
        own = dict(model.fixed_options)
        built[column] = built[leader] if leader in built else _built(FIXED, model.fixed, own, *columns[column])
    return built, float(model.fixed_weight)


def check_fixed(name: str, modalities: Iterable[str] = ()) -> None:
    """See whether there are fixed features of this name, and for what the columns hold.

    Raises
    ------
    UnknownName, ConfigError
        There are none.
    """
    if name == "none":
        return
    if name not in FIXED:
        raise UnknownName(FIXED.kind, name, [*FIXED, "none"], where="model.fixed")
    if other := [m for m in modalities if m not in FIXED.get(name).MODALITIES]:
        fitting = [f for f in FIXED if other[0] in FIXED.get(f).MODALITIES]
        raise ConfigError(f"{name!r} does not take {other[0]} input.", where="model.fixed",
                          hint=f"These do: {', '.join([*fitting, 'none'])}.")  # fmt: skip


def fresh(config: Config, columns: Kinds) -> Branches:
    """Branches with weights drawn as for training with this config."""
    found = encoders(config.model, columns, config.train.seed)
    head = record.resolve(config.model.method, config.method).head
    return Branches.of(found, head, fixed(config.model, columns))


class Branch(nn.Module):
    """Encoder and projector of one column, and what stands beside the encoder and is not trained.

    Parameters
    ----------
    encoder : nn.Module
    projector : nn.Module or None
    fixed : nn.Module or None
        Gives further features of the same inputs, which no loss sees.
    weight : float
        Mean length of these, as a multiple of that of the encoder's.
    """

    def __init__(
        self, encoder: nn.Module, projector: nn.Module | None, fixed: nn.Module | None = None, weight: float = 1.0
    ) -> None:
        super().__init__()
        self.encoder, self.projector, self.locked = encoder, projector or nn.Identity(), False
        self.fixed, self.weight = fixed, weight
        if fixed is not None:
            self.register_buffer("scale", torch.ones(()))

    def lock(self) -> None:
        """Keep the encoder as it is, weights and buffers: no gradient, and evaluation mode while others train."""
        self.locked = True
        self.encoder.requires_grad_(False).eval()

    @property
    def learns(self) -> list[nn.Module]:
        """What training changes."""
        return [self.projector] if self.locked else [self.encoder, self.projector]

    def train(self, mode: bool = True) -> Branch:
        """As of any module, but for an encoder that is locked."""
        super().train(mode)
        if self.locked:
            self.encoder.eval()
        return self

    @property
    def out_features(self) -> int:
        """Dimensions of what `embed` gives."""
        return self.encoder.out_features + (self.fixed.out_features if self.fixed is not None else 0)

    def embed(self, values: torch.Tensor) -> torch.Tensor:
        """Features as they are used (N, out_features): those of the encoder, and the fixed ones beside them."""
        features = self.encoder(values)
        if self.fixed is None:
            return features
        return torch.cat([features.float(), self.scale * self.fixed(values)], 1)

    @torch.no_grad()
    def rescale(self, values: torch.Tensor) -> None:
        """Bring the fixed features to their weight beside those of the encoder, by the mean lengths over some rows.

        One factor for all rows, so that a bag of tokens beside a bag of tokens stays one.
        """
        if hasattr(self.fixed, "follow"):
            self.fixed.follow(self.encoder)
        own, fixed = (net(values).float().norm(dim=1).mean() for net in (self.encoder, self.fixed))
        self.scale.copy_(self.weight * own / fixed.clamp(min=1e-12))

    def forward(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Features of the encoder (N, D_features) and their projection (N, D)."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.locked):
            features = self.encoder(values)
        return features, self.projector(features)


class Branches(nn.ModuleDict):
    """One branch per column; columns may share one.

    Parameters
    ----------
    branches : mapping of str to Branch
    same : mapping of str to str
        Columns without a branch of their own, and whose they use.
    """

    def __init__(self, branches: Mapping[str, Branch], same: Mapping[str, str] | None = None) -> None:
        super().__init__(branches)
        self.same = dict(same or {})

    @classmethod
    def of(cls, encoders: Mapping[str, nn.Module], head: Head | None, fixed: Fixed | None = None) -> Branches:
        """Branches of these encoders, each with a projector of its own; the same encoder twice is shared with it."""
        beside, weight = fixed or ({}, 1.0)
        branches: dict[str, Branch] = {}
        same: dict[str, str] = {}
        for column, encoder in encoders.items():
            like = next((c for c, b in branches.items() if b.encoder is encoder), None)
            if like is None:
                projector = head.build(encoder.out_features) if head else None
                branches[column] = Branch(encoder, projector, beside.get(column), weight)
            else:
                same[column] = like
        return cls(branches, same)

    def __getitem__(self, column: str) -> Branch:
        return super().__getitem__(self.same.get(column, column))

    def drop_fixed(self) -> None:
        """Leave the encoders alone, as a copy of them needs no more."""
        for branch in self.values():
            branch.fixed = None

    def encoders(self) -> list[nn.Module]:
        """Every encoder once."""
        return [branch.encoder for branch in self.values()]

    def forward(self, values: torch.Tensor, column: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and projection of one column's values."""
        return self[column](values)
