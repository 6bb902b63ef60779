"""Small forms of every method, for tests that walk the registry."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch

from nearfar.core.registry import METHODS
from nearfar.methods import record
from nearfar.methods.parts import Facts

OF_ROWS = [m for m in METHODS if METHODS.get(m).RECORD.takes == "rows"]
TRAINED = [m for m in OF_ROWS if METHODS.get(m).RECORD.trains]
OF_HISTORIES = [m for m in METHODS if METHODS.get(m).RECORD.takes == "histories"]
OF_TEXTS = [m for m in METHODS if m not in (*OF_ROWS, *OF_HISTORIES)]  # of texts, and of pairs of them
PARTS = {"memory": {"size": 96}, "prototypes": {"size": 24}, "context": {"hidden": 16}, "clusters": {"size": 4}}
VIEWS = 6  # of a row at most, where a method has more and needs no grid of them


def small(name, hidden=32, out=16, norm=None):
    """Changes of the method's record that make it small; with `norm`, its heads with or without batch norm."""
    r = METHODS.get(name).RECORD
    changes = {"parts": {part: PARTS[part] for part in r.parts if part in PARTS}} if r.parts else {}
    for head in ("projector", "predictor"):
        if (kept := getattr(r, head)) is not None:
            sizes = {"hidden": hidden, "out": out, "bottleneck": 16}
            changes[head] = {k: v for k, v in sizes.items() if hasattr(kept, k)}
            if norm is not None and hasattr(kept, "norm"):
                changes[head] |= {"norm": norm, "norm_last": False}
    if r.count > VIEWS and "context" not in r.parts:
        changes["count"] = VIEWS
    if r.positives == "teacher":
        changes["positives"] = f"teacher:{teacher()}"
    if name == "emp_ssl":
        changes["objective"] = {"weight": 200 * out / r.projector.out}  # the rate grows with the dimensions
    return changes


def of_time(name):
    """Whether it compares the encoder's states along time."""
    return METHODS.get(name).RECORD.steps


def as_series(name, given):
    """The knobs of a training on digits; a method of time reads them as series of eight channels and eight steps."""
    if not of_time(name):
        return given
    others = {k: v for k, v in given.items() if k not in ("size", "recipe", "overrides", "encoder_options")}
    return others | {"modality": "series", "encoder_options": {"width": 8, "out": 8, "layers": 1}}


class ByColumn:
    """Makes the columns of pictures the steps of an encoder that knows no time: of each it sees that column alone."""

    def steps(self, x):
        states = [self(x * (torch.arange(x.shape[-1]) == t)) for t in range(x.shape[-1])]
        return torch.stack(states, 1), torch.ones(len(x), x.shape[-1], dtype=torch.bool)

    def pooled(self, states, there):
        return states.mean(1)


@cache
def teacher():
    """A run that has learnt digits by their labels, in a folder of this process."""
    from nearfar.downstream.demo import digits
    from nearfar.training import train

    folder = Path(tempfile.mkdtemp(prefix="teacher"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    given = {"method": "supervised", "epochs": 6, "lr": 0.003, "recipe": "digits", "encoder_options": {"widths": [8, 16]}}
    learnt = tuple(a[:400] for a in digits()["train"])
    train.train(learnt, out=folder / "run", batch_size=32, holdout=0.0, threads=1, precision="fp32", size=8, **given)
    return folder / "run"


def taught(record, rows, dim):
    """What a teacher would say of so many rows, float (rows, dim), for a method that learns from one; else None."""
    return torch.randn(rows, dim, dtype=torch.float64) if record.positives.startswith("teacher") else None


def resolved(name, rows, changes):
    """The record with changes, for a table of so many rows in ten classes whose epoch is one step."""
    return record.resolve(name, changes).resolved(Facts(rows, rows, 10, 1))
