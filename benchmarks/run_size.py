"""Size of the folder of a finished training on 2,000 short texts, with its checkpoint and without.

    OMP_NUM_THREADS=1 python benchmarks/run_size.py ../shared/data [--out docs/results/reliability/size.json]

DATA holds multi30k/train.csv, whose English column is taken; all else is left to the defaults. The first training keeps
its checkpoint (`--keep-optimizer`, as all did before there was a choice), the second nothing but what serves the model.
Sizes are those that `du` says, in blocks of 1,024 bytes.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from encode import sentences
from written import machine

from nearfar.core import files
from nearfar.models.run import Run
from nearfar.training import train

ROWS = 2000


def kib(path: Path) -> int:
    """What `du` says of a file or folder, KiB."""
    return int(subprocess.run(["du", "-sk", path], capture_output=True, text=True, check=True).stdout.split()[0])


def measure(texts: list[str], folder: Path) -> dict[str, Any]:
    """KiB of both folders and of the model, which is to be the same in both."""
    kept, slim = (
        Run(train.train(texts, out=folder / str(keep), keep_optimizer=keep, quiet=True).path) for keep in (True, False)
    )
    assert kept.weights == slim.weights
    sizes = {"kept": kept.path, "checkpoint": kept.checkpoint_file, "slim": slim.path, "model": slim.model_file}
    return {name: kib(path) for name, path in sizes.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/results/reliability/size.json"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(sentences(args.data)[:ROWS], Path(folder))
    files.write_json(args.out, machine() | {"rows": ROWS, **found})


if __name__ == "__main__":
    main()
