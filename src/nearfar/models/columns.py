"""What a model makes of each of its columns, read once from words such as ``image=resnet18,caption=static``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nearfar.core import values
from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.registry import ENCODERS, FIXED, MODALITIES, TOKENISERS

if TYPE_CHECKING:
    from nearfar.core.config import ModelConfig

Kinds = Mapping[str, tuple[str, Mapping[str, Any]]]  # modality and spec by column
ENCODER, OPTIONS = "model.encoder", "model.encoder_options"


@dataclass(frozen=True)
class ColumnPlan:
    """One column, and what a model makes of it.

    Parameters
    ----------
    name, modality : str
    spec : mapping
        How its cells are read.
    encoder : str
        Name of its encoder, with a variant where that has one: ``timm:resnet18``.
    options : mapping
        Further arguments of the encoder.
    leader : str
        The first column that has the same encoder: itself, if it has one of its own.
    locked : bool
        Whether the encoder stays as it is while others are trained.
    start : Start or None
        The column of another run whose encoder it begins with (`nearfar.training.plan.warm_start`).
    recipes : tuple
        Recipes of its views, which are cycled; of a model that is only used, none.
    """

    name: str
    modality: str
    spec: Mapping[str, Any]
    encoder: str
    options: Mapping[str, Any] = field(default_factory=dict)
    leader: str = ""
    locked: bool = False
    start: Any = None
    recipes: tuple[Any, ...] = ()

    @property
    def entry(self) -> ModuleType:
        """The file of its encoder."""
        return _entry(self.encoder)

    @property
    def pretrained(self) -> bool:
        """Whether its encoder begins with weights of a run, or of a library, such as ``transformers:NAME``."""
        return self.start is not None or _fetches(self.encoder, self.options)


def words_of(text: str | Iterable[str], columns: Iterable[str], where: str) -> list[tuple[str, str]]:
    """The words of ``pooled_cnn,caption=static`` with the columns that they are for, "" where they are for any.

    Raises
    ------
    UnknownName
        There is no such column.
    """
    words = [w.strip().rpartition("=") for w in (text.split(",") if isinstance(text, str) else text)]
    for column, equals, _ in words:
        if equals and column not in columns:
            raise UnknownName("column", column, columns, where=where)
    return [(column, word) for column, _, word in words if word]


def plan(model: ModelConfig, kinds: Kinds, starts: Mapping[str, Any] | None = None) -> dict[str, ColumnPlan]:
    """What the config's words say of every column.

    Of encoders without a column, the first that takes a column's modality is its encoder; where none does, that of the
    run which the column begins with, or the modality's own.

    Raises
    ------
    UnknownName
        There is no such encoder or column; the nearest is proposed.
    ConfigError
        An encoder takes the input of no column.
    """
    words = [(of, word) for of, word in words_of(model.encoder, kinds, ENCODER) if word != "auto"]
    for of, word in words:
        takes = _entry(word).MODALITIES
        if not any(kinds[c][0] in takes for c in ([of] if of else kinds)):
            raise _does_not_take(word, kinds[of or next(iter(kinds))][0])
    plans: dict[str, ColumnPlan] = {}
    for name, (modality, spec) in kinds.items():
        start = (starts or {}).get(name)
        named = next((w for of, w in words if of == name), None) or next(
            (w for of, w in words if not of and modality in _entry(w).MODALITIES), None
        )
        encoder = named or (start.column.encoder if start else MODALITIES.get(modality).default_encoder(spec))
        options = _options(model, name, kinds)
        if start and encoder == start.column.encoder:
            options = options or dict(start.column.options)
        plans[name] = ColumnPlan(name, modality, spec, encoder, options, name, name in model.lock, start)
    return _led(plans, bool(model.share))


def _led(plans: Mapping[str, ColumnPlan], share: bool) -> dict[str, ColumnPlan]:
    """The columns with their leaders: those that are read and encoded alike share an encoder, if any do."""

    def alike(one: ColumnPlan, other: ColumnPlan) -> bool:
        return all(getattr(one, n) == getattr(other, n) for n in ("modality", "spec", "encoder", "options"))

    led: dict[str, ColumnPlan] = {}
    for name, c in plans.items():
        led[name] = replace(c, leader=next((n for n in led if share and alike(led[n], c)), name))
    return led


def _entry(word: str) -> ModuleType:
    return ENCODERS.get(word.partition(":")[0])


def _fetches(word: str, options: Mapping[str, Any]) -> bool:
    """Whether an encoder begins with weights of a library: it is asked for, or its name says where they lie."""
    name = word.partition(":")[2]
    lies = getattr(_entry(word), "FETCHES", False) or "@" in name or os.path.isdir(name)
    return bool(options.get("pretrained", lies))


def _options(model: ModelConfig, column: str, kinds: Kinds) -> dict[str, Any]:
    """Arguments of a column's encoder: its own where `encoder_options` has them by column, else those of all."""
    options = model.encoder_options
    if len(kinds) > 1 and any(c in options for c in kinds):
        options = values.of_kind(dict, options.get(column, {}), f"{OPTIONS}.{column}")
    return dict(options)


def _does_not_take(word: str, modality: str) -> ConfigError:
    others = [e for e in ENCODERS if modality in ENCODERS.get(e).MODALITIES]
    return ConfigError(f"the encoder {word.partition(':')[0]!r} does not take {modality} input.", where=ENCODER,
                       hint=f"These do: {', '.join(others)}.")  # fmt: skip


def check(text: str, options: Mapping[str, Any], where: str = ENCODER) -> None:
    """See whether the encoders that are named exist, before the data are read.

    Raises
    ------
    UnknownName, ConfigError
        There is no such encoder, or its library has no such model.
    """
    for word in filter(None, (w.strip().rpartition("=")[2] for w in text.split(","))):
        name, _, variant = word.partition(":")
        if word != "auto" and name not in ENCODERS:
            raise UnknownName("encoder", name, ENCODERS, where=where)
        if word != "auto" and hasattr(_entry(word), "check"):
            try:
                _entry(word).check(variant or str(options.get("name", "")))
            except ValueError as e:
                raise ConfigError(f"the encoder {word!r} cannot be built: {e}.", where=where) from e


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


def tokeniser(model: ModelConfig, asked: str | None) -> str:
    """The tokeniser of texts that the encoders ask for where the user asks for none."""
    if asked not in (None, "auto"):
        return asked
    wanted = {}
    for word in _words(model):
        kind, name = getattr(_entry(word), "TOKENS", None), word.partition(":")[2]
        if kind == "transformers":
            if not name:
                raise ConfigError("no model is named.", where=ENCODER, hint=f"For example {word}:NAME.")
            kind = f"{kind}:{name}"
        if kind:
            wanted[kind] = word
    if len(wanted) > 1:
        raise ConfigError(f"the encoders {' and '.join(wanted.values())} have different tokenisers.", where=ENCODER,
                          hint="Name one with data.tokens.")  # fmt: skip
    return next(iter(wanted), "auto")


def preparation(model: ModelConfig) -> dict[str, Any]:
    """How the encoders that begin with a library's weights want their input prepared: options of the modalities' plans.

    Raises
    ------
    ConfigError
        Two of them want it differently.
    """
    wanted: dict[str, tuple[Any, str]] = {}
    for word in _words(model):
        entry, name = _entry(word), word.partition(":")[2]
        if not name or not hasattr(entry, "offers") or not _fetches(word, model.encoder_options):
            continue
        for _, options in entry.offers(name).columns.values():
            for key, value in options.items():
                if wanted.setdefault(key, (value, word))[0] != value:
                    raise ConfigError(f"the encoders {wanted[key][1]} and {word} want another {key}.", where=ENCODER,
                                      hint="Train them one by one.")  # fmt: skip
    return {key: value for key, (value, _) in wanted.items()}


def _words(model: ModelConfig) -> list[str]:
    """The encoders that are named, without the columns that they are for."""
    words = (w.strip().rpartition("=")[2] for w in model.encoder.split(","))
    return [w for w in words if w not in ("", "auto")]


def resolved(
    model: ModelConfig, plans: Mapping[str, ColumnPlan], begins: bool = True
) -> tuple[ModelConfig, dict[str, ColumnPlan]]:
    """The config's encoders without any "auto", and with all that they need to be built from a run's folder alone.

    A training that `begins` takes the defaults that stand beside fixed features; one that is resumed has its own.
    """
    beside = model.fixed != "none" and begins
    options: dict[str, dict[str, Any]] = {}
    for name, c in plans.items():
        own, variant = dict(c.options), c.encoder.partition(":")[2]
        if beside:
            own = {**getattr(c.entry, "BESIDE", {}), **_of_tokens(c.entry, c.spec), **own}
        if hasattr(c.entry, "settle"):
            own = c.entry.settle({"name": variant, **own} if variant else own)
        options[name] = own
    if beside:
        more = {k: v for c in plans.values() for k, v in _of_tokens(FIXED.get(model.fixed), c.spec).items()}
        model = replace(model, fixed_options=more | dict(model.fixed_options))
    first, several = next(iter(options.values())), len(plans) > 1
    alike, share = all(own == first for own in options.values()), model.share == "auto" or bool(model.share)
    encoder = ",".join(f"{n}={c.encoder}" if several else c.encoder for n, c in plans.items())
    model = replace(model, encoder=encoder, encoder_options=first if alike else options, share=share)
    return model, _led({n: replace(c, options=options[n]) for n, c in plans.items()}, share)


def _of_tokens(entry: ModuleType, spec: Mapping[str, Any]) -> dict[str, Any]:
    """What a column's tokeniser says beside fixed features, as far as an encoder, or these, have such options."""
    if "tokeniser" not in spec:
        return {}
    said = getattr(TOKENISERS.get(spec["tokeniser"]["kind"]), "beside", lambda spec: {})(spec["tokeniser"])
    return {k: v for k, v in said.items() if k in values.settable(entry.build)}
