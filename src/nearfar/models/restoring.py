"""The model of a run folder, or of its several members, whose weights are compared with what its config describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from nearfar.core import files
from nearfar.core.errors import RunError
from nearfar.models import stored
from nearfar.models.blueprint import NUMBERS, Blueprint, compare, described, expected, widths
from nearfar.models.embedder import Embedder
from nearfar.models.ensemble import KEPT, Ensemble
from nearfar.models.model import LAYERS
from nearfar.models.training_rows import TrainingRows

if TYPE_CHECKING:
    from nearfar.core.config import Config
    from nearfar.models.model import Model
    from nearfar.models.run import Run


def restored(run: Run) -> Model:
    """The model of a run, on the processor.

    Raises
    ------
    RunError
        It is damaged, or its weights do not fit its configuration.
    """
    config, where = run.config, str(run.model_file)
    together = config.get("ensemble")
    parts = together["members"] if together else [config]
    prefixes = [f"members/{i}/" for i in range(len(parts))] if together else [""]
    networks, configs, columns = map(list, zip(*(described(part, where) for part in parts), strict=True))
    weights, about = files.load_tensors(run.model_file, lambda header: _check(header, prefixes, networks, configs[0]))
    made = about.get("made", {})
    if together:
        now = stored.decide_together(together["how"], list(zip(configs, columns, strict=True)))
    else:
        source = config["data"].get("source", {}).get("source")
        if source and Path(source).exists():  # what was typed may be right in another folder only
            configs[0] = replace(configs[0], data=replace(configs[0].data, source=source))
        if not run.finished:
            configs[0] = stored.as_made(configs[0], made)
        now = stored.decides(configs[0], columns[0])
    stored.check_made(made, now, str(run.config_file))
    # Of an ensemble it is known on which rows its members were trained together, which is what is asked of it.
    place = {"fingerprint": config["data"]["fingerprint"], "training_rows": TrainingRows.load(run.path), "frozen": True}
    members = []
    for i, prefix in enumerate(prefixes):
        tensors = {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}
        numbers = {k.removeprefix(NUMBERS): float(v) for k, v in tensors.items() if k.startswith(NUMBERS)}
        filled = networks[i].filled({k: v for k, v in tensors.items() if not k.startswith(NUMBERS)})
        name = {"name": parts[i]["name"]} if together else {"name": run.name, "path": run.path}
        members.append(Embedder(configs[i], columns[i], filled, numbers=numbers, **name, **place))
    if not together:
        return members[0]
    maps = {}
    for layer in (KEPT, *LAYERS):
        of_layer = [weights.get(f"maps/{layer}/{i}") for i in range(1, len(members))]
        if all(m is not None for m in of_layer):
            maps[layer] = [m.numpy() for m in of_layer]
    if together["how"] == "average" and KEPT not in maps:
        raise RunError("the maps that align the members are missing.", where=where)
    return Ensemble(members, together["how"], maps=maps, name=run.name, path=run.path)


def _check(
    header: Mapping[str, torch.Tensor], prefixes: Sequence[str], networks: Sequence[Blueprint], first: Config
) -> None:
    """Raise `RunError` where a file holds anything but the members' weights and the maps between their vectors."""
    left = dict(header)
    for prefix, member in zip(prefixes, networks, strict=True):
        tensors = {k: left.pop(k) for k in list(left) if k.startswith(prefix)}
        wanted = expected(member, {k.removeprefix(prefix): t for k, t in tensors.items()})
        compare(tensors, {prefix + k: t for k, t in wanted.items()}, member.where)
    wanted = {}
    for layer in (KEPT, *LAYERS):
        d = left.get(f"maps/{layer}/1")
        if d is not None:
            known = widths(first, networks[0].drawn, first.method.get("keep", "features") if layer == KEPT else layer)
            side = next((w for w in known if d.shape[:1] == (w,)), known[0])
            one = torch.empty((side, side), device="meta")
            wanted |= {f"maps/{layer}/{i}": one for i in range(1, len(networks))}
    compare(left, wanted, networks[0].where)
