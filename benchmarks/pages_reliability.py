"""docs/reliability.md, whose figures are those of the JSON in docs/results/reliability.

    python benchmarks/pages_reliability.py

A test asserts that the page says what the JSON says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tables

HEAD = ["verb", "operations", "cases", "lost", "cannot go on", "left over", "wrong sentence"]
KINDS = ("lost", "stuck", "left over", "sentence")
OTHERS = {  # of further walks, each a file beside that of the operations
    "kills": ("Killed while training", "Trainings are killed at random instants and gone on with; *different* are "
              "those whose weights were then other ones than those of the undisturbed training."),
    "folders": ("Damaged folders", "Runs, ensembles and classifiers whose files were damaged at random are opened. *Same*: "
                "it gives the same vectors; *told*: it says what it passes over; *refused*: in a sentence."),
    "files": ("Damaged data", "Data files that were damaged at random are read."),
    "values": ("Values that cannot be", "Every option and every knob is given values that it cannot have."),
}  # fmt: skip


def operations(d: dict[str, Any]) -> str:
    """One line a verb, and their sum."""
    body = [[name, *(f"{v[k]:,}" for k in ("operations", "cases", *KINDS))] for name, v in d["verbs"].items()]
    total = d["total"]
    body.append(["**all**", *(f"**{total[k]:,}**" for k in ("operations", "cases", *KINDS))])
    return tables.rows(HEAD, body)


def other(title: str, words: str, d: Mapping[str, Any]) -> str:
    """What another walk found: its numbers, and those by kind."""
    whole = {k.replace("_", " "): v for k, v in d.items() if isinstance(v, int) and k not in ("seed", "seconds")}
    whole |= {k: len(d[k]) for k in ("faults", "lost") if isinstance(d.get(k), list)} | d.get("outcomes", {})
    parts = [f"## {title}", f"{words} {_listed(whole)}."]
    parts += [f"By {way}: {_listed(counts)}." for way, counts in d.get("by", {}).items()]
    parts += [_table(d[k]) for k in ("groups", "formats", "by_damage") if k in d]
    seed = f"Seed {d['seed']}; " if "seed" in d else ""
    return "\n\n".join([*parts, f"```console\n$ {d['command']}\n```", f"{seed}{d['machine']}."])


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in counts.items())


def _table(found: Mapping[str, Mapping[str, int]]) -> str:
    columns = list(dict.fromkeys(k for row in found.values() for k in row))
    return tables.rows(["", *columns], [[k, *(f"{row.get(c, 0):,}" for c in columns)] for k, row in found.items()])


def page() -> str:
    found = tables.read("reliability")
    walked = [of_operations(found["operations"])] if "operations" in found else []
    sizes = [SIZE.format(**found["size"], **megabytes(found["size"]))] if "size" in found else []
    others = [other(*words, found[name]) for name, words in OTHERS.items() if name in found]
    return "\n\n".join([PROMISED, *sizes, *walked, *others]) + "\n"


def megabytes(d: Mapping[str, Any]) -> dict[str, str]:
    """Sizes that were measured in KiB, by their names with ``_mb``."""
    return {f"{name}_mb": f"{d[name] * 1024 / 1e6:,.0f} MB" for name in ("kept", "checkpoint", "slim", "model")}


def of_operations(d: dict[str, Any]) -> str:
    """What failing operations leave."""
    return OPERATIONS.format(
        table=operations(d), command=d["command"], machine=d["machine"], verbs=len(d["verbs"]),
        sample=SAMPLES.get(d["sample"], f"a sample of {d['sample']} cases of every verb"), total=d["total"]["cases"],
    )  # fmt: skip


SAMPLES = {
    "all": "every operation with each of these",
    "three": "every operation failing once in each of the first two ways, and never reached",
    "each": "every operation with one of these, drawn by the seed",
}

PROMISED = """\
# When something fails

What a full disk, a failing one, `kill -9` or a closed lid leaves behind is what this page is about: what is promised, and
how it was tried.

## What is promised

- **A file is the old or the new one.** It is written beside its place under a name such as `.vectors.npy.1f0c9a3e.nearfar`,
  and then renamed.
- **A folder is replaced in one swap.** `train --overwrite`, `ensemble --overwrite`, `export --overwrite` and a classifier of
  a name that there is are written beside the old folder, which stays until the new one is whole; a run until the first
  checkpoint of the new training, from which `--resume` goes on.
- **Only what nearfar wrote is removed.** Your own files in a run folder stay, also where the run is overwritten.
- **A training goes on to the same weights**, bit for bit, from its last checkpoint: `nearfar train --resume --out RUN`.
- **A finished training keeps what serves it.** First its model is saved, then the run says that it is finished, and only
  then the checkpoint is removed; `--resume` completes what a kill between two of these left undone.
- **The same command can be said again.** What a killed process left beside is removed by the next one that writes there.
- **A failing disk is one sentence**, which names the file, with exit status 1. Where it says that nothing is lost, nothing is.

Not promised: what the disk itself forgets, and two names for one file system that is shared between machines without locks.\
"""

SIZE = """\
## What a finished run keeps

The checkpoint holds what only a training needs: the optimiser's state, momentum twins, queues, the weights once more. Of
{rows:,} short texts with the defaults, the folder has {slim_mb} at the end (`du`), of which {model_mb} are the model; with the
checkpoint, {checkpoint_mb}, it has {kept_mb}. It is kept with `--keep-optimizer` (`train.keep_optimizer`), for a training
that is to go on after its end: `nearfar train --resume --epochs 50 --out RUN`. Where it was not kept, another training
begins with the weights: `--init-from RUN --out OTHER`. Runs of earlier versions keep theirs; their folder `checkpoint` may
be removed by hand.

```console
$ {command}
```

{machine}.\
"""

OPERATIONS = """\
## Every file operation fails once

Each verb that writes was run over what was there before (a run that was measured and has a classifier, older vectors, an
older export …) with files of the user's own beside. Every operation of the process on that folder, in Python and in the
libraries below it, was numbered: opening for writing, writing, `fsync`, renaming, removing, making folders, reserving
room. Then it was run again, and again, with operation *k*

- failing with "no space left" or with "input/output error", once;
- failing for lack of room, and all after it that needs room, with or without the half of a write done;
- never reached, because the process was killed before it or in the midst of a write.

Tried was {sample}: {total:,} cases. After each, models and classifiers were loaded and had to give the old or the new
numbers; every old file had to be there, or its new one, byte for byte; a begun training had to go on to the very same
weights; the same command had to come to the state of the undisturbed run, with nothing left over.

{table}

*Lost*: neither old nor new, or a file of the user's. *Cannot go on*: the same command does not come to the end.
*Left over*: temporary files after the next command, or after a failing one that could have removed them. *Wrong
sentence*: a traceback, another exit status, or a claim that is not so.

```console
$ {command}
```

{machine}; nearfar's own tests walk over a sample ([tests/faults](../tests/faults/test_operations.py)).\
"""


if __name__ == "__main__":
    (tables.ROOT.parent / "reliability.md").write_text(page(), encoding="utf-8")
