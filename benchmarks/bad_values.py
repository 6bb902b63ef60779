"""Every method knob, option and flag with odd values: what is taken, what is refused, and that nothing is a fault.

    python benchmarks/bad_values.py --out docs/results/reliability/values.json
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import platform
import random
import shlex
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

GROUPS = ("methods", "config", "trainings", "knobs", "encoders", "transforms", "objectives", "words", "flags")


def main() -> int:
    """Try them, write what became of them, and show the faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--groups", nargs="+", default=GROUPS, choices=GROUPS)
    parser.add_argument("--share", type=float, default=1.0, help="of the cases of each group, drawn by the seed")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    os.environ.update(HF_HUB_OFFLINE="1", NEARFAR_HOME=tempfile.mkdtemp())

    import torch
    from tests.faults import values

    torch.set_num_threads(1)
    place = values.Place(Path(tempfile.mkdtemp()))
    counts: dict[str, collections.Counter[str]] = {}
    faults, began = [], time.time()
    for group in asked.groups:
        given = {"methods": (), "config": (), "flags": (place,)}.get(group, (place.data,))
        cases = list(getattr(values, f"of_{group}")(*given))
        cases = random.Random(asked.seed).sample(cases, round(asked.share * len(cases)))
        for case in cases:
            kind, said = values.outcome(case)
            counts.setdefault(case.group, collections.Counter())[kind] += 1
            if kind == "fault":
                faults.append(f"{case}: {said}"[:400])
                print(faults[-1], file=sys.stderr, flush=True)
        print(group, len(cases), f"{time.time() - began:.0f} s", file=sys.stderr, flush=True)
    total = sum(counts.values(), collections.Counter())
    result = {
        "command": shlex.join(["python", *sys.argv]), "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "python": platform.python_version(), "seed": asked.seed, "share": asked.share,
        "seconds": round(time.time() - began), "cases": sum(total.values()), "outcomes": dict(sorted(total.items())),
        "lost": place.lost(), "faults": faults, "groups": {g: dict(sorted(c.items())) for g, c in sorted(counts.items())},
    }  # fmt: skip
    text = json.dumps(result, indent=1) + "\n"
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text, encoding="utf-8")
    print(text if not asked.out else dict(total))
    return 1 if faults or result["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
