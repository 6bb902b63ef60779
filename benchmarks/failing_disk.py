"""Every file operation of every verb that writes fails once, or is the last before a kill.

    python benchmarks/failing_disk.py --processes 2

Operations are counted in the C library (failing_disk.c, which needs a C compiler), so those of libraries written in C
and Rust are seen too. What is tried, and how it is judged, is in tests/faults/verbs.py. Leaves
docs/results/reliability/operations.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from written import machine

ROOT = Path(__file__).parents[1]
OUT = ROOT / "docs" / "results" / "reliability" / "operations.json"
KINDS = ("lost", "stuck", "left over", "sentence", "not killed")


def library(folder: Path) -> Path:
    """The C file as a library that can be preloaded."""
    made = folder / "failing_disk.so"
    source = str(Path(__file__).with_suffix(".c"))
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", str(made), source, "-ldl"], check=True)
    return made


def walk(name: str, sample: str, seed: int, folder: Path, preloaded: Path) -> dict[str, Any]:
    """One verb, in a process of its own."""
    env = os.environ | {
        "LD_PRELOAD": str(preloaded), "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [sys.executable, "-m", "tests.faults.walk", str(folder / name.replace(" ", "_")), str(seed), f"{name}={sample}"]
    done = subprocess.run(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout.strip()[:300], flush=True)
    return json.loads(done.stdout)


def summed(found: dict[str, Any]) -> dict[str, Any]:
    """The figures of a verb, and what was wrong."""
    wrong = Counter(kind for fault in found["faults"] for kind in KINDS if kind in fault)
    return {k: found[k] for k in ("operations", "cases")} | {k: wrong[k] for k in KINDS} | {"faults": found["faults"]}


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from tests.faults.verbs import VERBS

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--sample", default="all", help="all, three, each, or how many of every verb")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("verbs", nargs="*", help="by default all")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, ThreadPoolExecutor(asked.processes) as pool:
        preloaded = library(Path(place))
        tried = [
            pool.submit(walk, name, asked.sample, asked.seed, Path(place), preloaded) for name in asked.verbs or VERBS
        ]
        verbs = {found["verb"]: summed(found) for found in (t.result() for t in tried)}
    about = machine()
    if asked.verbs and asked.out.exists():  # the others stay as they were found
        before = json.loads(asked.out.read_text(encoding="utf-8"))
        if (before["seed"], before["sample"]) == (asked.seed, asked.sample):
            verbs = {v: (before["verbs"] | verbs)[v] for v in VERBS if v in before["verbs"] | verbs}
            about |= {"command": before["command"], "again": [*before.get("again", ()), about["command"]]}
    total = {k: sum(v[k] for v in verbs.values()) for k in ("operations", "cases", *KINDS)}
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    written = about | {"seed": asked.seed, "sample": asked.sample, "total": total, "verbs": verbs}
    asked.out.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(total))


if __name__ == "__main__":
    main()
