"""Trainings that are killed at drawn instants and resumed, against those that nobody disturbed."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from dataclasses import dataclass, field
from itertools import chain, cycle, islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nearfar import cli
from nearfar.core import files
from nearfar.models.run import Run
from nearfar.training import seeds, train
from tests.conftest import lines_of
from tests.faults.kills import PLACES, Ended, Instant, sit
from tests.faults.trainings import ALSO, EVERY, METHOD_BY_MODALITY, Training

USERS_OWN = {"notes.txt": b"of the user"}
OF_A_SITTING = ("command", "folder", "resumed")  # what config.json says of how it came about
TRIES = 6  # sittings without a kill, since the drawn operation did not come


@dataclass
class Killed:
    """A training that was killed so many times, and how it then differs from the undisturbed one."""

    training: Training
    instants: list[Instant] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.training.name}, killed at {self.instants}: {'; '.join(self.differences) or 'the same'}"


@dataclass
class House:
    """A folder for undisturbed trainings, each made once, and for killed ones."""

    folder: Path
    whole: dict[str, tuple[Path, Ended]] = field(default_factory=dict)
    count: int = 0

    def undisturbed(self, name: str) -> tuple[Path, Ended]:
        """The run of a training that is left alone, and what was counted."""
        if name not in self.whole:
            training = EVERY[name]
            out = self.folder / "whole" / name.replace(" ", "-")
            out.parent.mkdir(parents=True, exist_ok=True)
            run = self._needed(training)
            lay(training, out, run)
            ended = sit(go_on, (name, self.folder, out, run), out)
            assert not ended.raised, f"{name}: {ended.raised}"
            self.whole[name] = out, ended
        return self.whole[name]

    def _needed(self, training: Training) -> Path | None:
        return self.undisturbed(training.needs)[0] if training.needs else None

    def killed(self, name: str, kills: int, draw: np.random.Generator) -> Killed:
        """Kill a training so many times, go on after each, and compare the end."""
        training, (whole, ended) = EVERY[name], self.undisturbed(name)
        found, misses = Killed(training), 0
        while len(found.instants) < kills and misses < TRIES and not found.differences:
            self.count += 1
            out = self.folder / f"killed{self.count}" / whole.name
            out.parent.mkdir()
            args, home = (name, self.folder, out, self._needed(training)), out.parent / "home"
            lay(training, out, args[-1])
            while len(found.instants) < kills:
                instant = drawn(training, ended, kills, draw)
                sitting = sit(go_on, args, out, instant, home)
                if not sitting.killed:
                    misses += 1
                    break
                found.instants.append(instant)
                if instant.rank is not None and "was killed" not in sitting.raised:
                    found.differences.append(f"the kill of process {instant.rank} was told as: {sitting.raised}")
            last = sit(go_on, args, out, None, home)
            found.differences += [last.raised] if last.raised else differences(whole, out)
            shutil.rmtree(out.parent)
        return found


def chosen(seed: int, kills: int, also: int | None = None) -> list[tuple[str, int]]:
    """Names of trainings with how often each is killed, so many kills in all.

    Every method comes once, on a drawn modality, and then all else that is state, or the first `also` of it, again and
    again; without `also`, every other modality of a method follows, in a drawn order, before all come again.
    """
    draw = np.random.default_rng(seed)
    grid = [METHOD_BY_MODALITY[i] for i in draw.permutation(len(METHOD_BY_MODALITY))]
    once = {t.method: t for t in grid}
    rest = [*ALSO[:also], *(t for t in grid if also is None and t is not once[t.method])]
    again = cycle(rest if also else [*rest, *once.values()])
    return list(Counter(t.name for t in islice(chain(once.values(), again), kills)).items())


def go_on(name: str, folder: Path, out: Path, run: Path | None) -> None:
    """Train into `out`, or go on with what is there, as its user would after a kill."""
    training, data, options = EVERY[name], folder / "data", {"out": out, "quiet": True}
    source = training.data(data)
    if training.verb:
        args = [a.format(out=out, run=run, data=data) for a in training.verb]
        assert cli.run([*args, "--quiet"]) == 0, f"nearfar {' '.join(args)} failed"
        return
    given, begun = training.given(run), _begun(training, out)
    if training.there and not training.longer and not begun:
        assert _contents(out) == _contents(run) | USERS_OWN, "neither the old nor the new run is there as a whole"
    if training.seeds > 1:
        begun = begun or (not training.there and (out / "seeds.json").exists())
        given = {} if begun else given | {"seeds": training.seeds, "overwrite": training.there}
        seeds.train_seeds(source, resume=begun, **options, **given)
    else:
        given = training.longer if training.longer else {} if begun else given | {"overwrite": out.exists()}
        train.train(source, resume=begun, **options, **given)


def lay(training: Training, out: Path, run: Path | None) -> None:
    """What is there before a training begins."""
    if training.there:
        shutil.copytree(run, out, ignore=shutil.ignore_patterns(*USERS_OWN))
        for name, content in USERS_OWN.items():
            (out / name).write_bytes(content)
    if training.longer:
        (out / "evaluation.json").write_text(json.dumps({"weights": "of other weights"}))


def _begun(training: Training, out: Path) -> bool:
    """Whether the training, not another one that lay there, has a checkpoint or its end in `out`."""
    config = out / ("seeds.json" if training.seeds > 1 else "config.json")
    if training.longer:
        return True
    if not config.exists() or not any(any(out.rglob(f"{name}.safetensors")) for name in ("state", "model")):
        return False
    return files.read_json(config)["config"]["train"]["seed"] == training.knobs.get("seed", 0)


def _contents(folder: Path) -> dict[str, bytes]:
    found = {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {name: content for name, content in found.items() if Path(name).name != ".lock"}


def drawn(training: Training, ended: Ended, kills: int, draw: np.random.Generator) -> Instant:
    """An instant of a sitting, about as far into it as lets the next one be killed too."""
    processes = training.knobs.get("processes", 1)
    place = str(draw.choice([*(p for p in PLACES if ended.counts[p]), "time"]))
    if place == "time":
        return Instant("time", float(draw.uniform(0, ended.seconds)))
    rank = int(draw.integers(processes)) if processes > 1 else None
    if rank:
        place = "step"  # only the first process writes
    most = ended.counts[place]
    if place in ("step", "metrics", "checkpoint"):
        most //= kills
    return Instant(place, int(draw.integers(1, max(2, most + 1))), rank)


def differences(whole: Path, other: Path) -> list[str]:
    """How a folder differs from that of an undisturbed process; nothing where nothing was lost."""
    names = _names(whole), _names(other)
    found = [f"{name} is missing" for name in sorted(names[0] - names[1])]
    found += [f"{name} is left over" for name in sorted(names[1] - names[0])]
    beside = {p.name for p in other.parent.iterdir()} - {other.name, f"{other.name}.ended.json", "home"}
    found += [f"{name} is left over beside it" for name in sorted(beside)]
    home, own = whole.parent / "home", other.parent / "home"
    found += [f"{name} is left over in NEARFAR_HOME" for name in sorted(_names(own) - _names(home))]
    if found:
        return found
    same = (".safetensors", ".npz", ".toml", ".txt")
    found = [
        f"{p.relative_to(whole)} differs" for p in sorted(whole.rglob("*"))
        if p.suffix in same and p.parent.name != "checkpoint" and p.read_bytes() != _at(p, whole, other).read_bytes()
    ]  # fmt: skip
    for config in whole.rglob("config.json"):
        run = config.parent
        found += [f"{what} of {run.relative_to(whole)} differ" for what in _unlike(run, _at(run, whole, other))]
    return found


def _at(path: Path, whole: Path, other: Path) -> Path:
    return other / path.relative_to(whole)


def _names(folder: Path) -> set[str]:
    """Names of files, but for those that TensorBoard makes of a clock."""
    found = {str(p.relative_to(folder)) for p in folder.rglob("*")}
    return {name for name in found if "tfevents" not in name}


def _unlike(a: Path, b: Path) -> list[str]:
    found = []
    if _about(a) != _about(b):
        found.append("configs")
    if not Run(b).finished:
        found.append("ends")
    if (a / "metrics.jsonl").exists() and lines_of(a) != lines_of(b):
        found.append("lines of metrics")
    if (a / "checkpoint").exists() and _checkpoint(a) != _checkpoint(b):
        found.append("checkpoints")
    if (a / "tensorboard").exists() and _points(b) != [(x["step"], np.float32(x["loss"])) for x in lines_of(a)]:
        found.append("curves of TensorBoard")
    return found


def _about(run: Path) -> dict[str, Any]:
    return {k: v for k, v in files.read_json(run / "config.json").items() if k not in OF_A_SITTING}


def _checkpoint(run: Path) -> Any:
    tensors, state = Run(run).load_checkpoint()
    return {k: v.reshape(-1).view(torch.uint8).numpy().tobytes() for k, v in tensors.items()}, state | {"seconds": 0}


def _points(run: Path) -> list[tuple[int, np.float32]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    points = EventAccumulator(str(run / "tensorboard")).Reload().Scalars("loss")
    return [(p.step, np.float32(p.value)) for p in points]
