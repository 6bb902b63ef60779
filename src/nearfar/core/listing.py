"""Every knob, its value and where that came from; the function behind ``nearfar config``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core.config import Config, assemble, knobs
from nearfar.core.errors import RunError
from nearfar.core.options import checked

if TYPE_CHECKING:
    from nearfar.core.console import Console


@dataclass(frozen=True)
class Knobs:
    """What `config` gives: a `Config`, and where each ``section.key`` of it that was set came from."""

    config: Config
    origins: Mapping[str, str]

    def __repr__(self) -> str:
        """TOML, which ``--config`` reads."""
        values, usual, lines, section = self.config.as_dict(), Config().as_dict(), [], None
        for name, f, _ in knobs():
            lines += ["", f"[{name}]"] if name != section else []
            section, value, place = name, values[name][f.name], f"{name}.{f.name}"
            about = [f"({', '.join(f.metadata['choices'])})"] if f.metadata["choices"] else []
            about += [f"[{f.metadata['unit']}]"] if f.metadata["unit"] else []
            # a run's config.json sets every knob, so that only those that differ tell something
            came = [f"{self.origins[place]}:"] if place in self.origins and value != usual[name][f.name] else []
            comment = " ".join(["#", *came, f.metadata["help"], *about])
            pairs = list(flat(value, f.name)) if isinstance(value, dict) and value else [(f.name, value)]
            lines += [f"{key:<17} = {_toml(v):<12} {comment}" for key, v in pairs]
        lines += ["", "[method]"] if self.config.method else []
        lines += [f"{key:<17} = {_toml(value)}" for key, value in flat(values["method"])]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """What ``nearfar config --json`` prints."""
        return {"schema": 1, "verb": "config", "config": self.config.as_dict(), "origins": dict(self.origins)}


@checked
def config(
    run: str | Path | None = None, *, config: Config | str | Path | None = None,
    set: Mapping[str, Any] | Sequence[str] = (), console: Console | None = None,
) -> Knobs:  # fmt: skip
    """List every knob with its value, where the value came from, and what it means.

    Parameters
    ----------
    run : path, optional
        A run folder, whose knobs are listed; `config` is left alone then.
    config : Config or path, optional
        Instead of the defaults: a config, a TOML or JSON file, or a run's ``config.json``.
    set : mapping, or sequence of "KNOB=VALUE"
        Knobs to change.

    Raises
    ------
    RunError
        `run` is no run folder.
    ConfigError
        There is no such knob, or no such value of it.
    """
    if run is not None and not (Path(run) / "config.json").exists():
        raise RunError("is not a run folder: it has no config.json.", where=str(run))
    return Knobs(*assemble(config if run is None else Path(run) / "config.json", set))


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values by their dotted keys."""
    for key, value in values.items():
        path = f"{prefix}.{key}" if prefix else key
        if isinstance(value, Mapping):
            yield from flat(value, path)
        else:
            yield path, value


def _toml(value: Any) -> str:
    """A number, text, truth value or list of these; TOML has no null, for which the config reads "none"."""
    return json.dumps("none" if value is None else value, ensure_ascii=False)
