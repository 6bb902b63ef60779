"""Damaged run folders: how many are as they were, how many are refused, and that none is silently different.

::

    python benchmarks/damage.py [--cases 2000] [--seed 0] [--out docs/results/reliability/folders.json]
"""

from __future__ import annotations

import argparse
import platform
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.faults import damage

from nearfar import __version__
from nearfar.core import files

FOUND = ("same", "told", "changed", "refused", "FAULT")


def main() -> None:
    """Run the cases and write the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="docs/results/reliability/folders.json")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as place:
        home, known = Path(place) / "whole", {}
        runs = damage.make(home)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.process_time()
        cases = range(asked.seed, asked.seed + asked.cases)
        found = [damage.case(seed, runs, home, Path(place), known) for seed in cases]
        seconds = time.process_time() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    files.write_json(asked.out, {
        "command": f"python benchmarks/damage.py --cases {asked.cases} --seed {asked.seed}", "nearfar": __version__,
        "machine": f"{platform.machine()}, Python {platform.python_version()}, {platform.system()}",
        "cases": len(found), "processor_seconds": round(seconds, 1), "slowest_seconds": round(max(o.seconds for o in found), 2),
        "memory_mib": {"before": before // 1024, "most": after // 1024},
        "outcomes": {k: sum(o.found == k for o in found) for k in FOUND},
        "by_damage": _table(found, "damage"), "by_file": _table(found, "file"), "by_use": _table(found, "use"),
        "faults": [f"seed {s}: {o}"[:1000] for s, o in zip(cases, found, strict=True) if o.found == "FAULT"],
    })  # fmt: skip
    print(f"{len(found):,} cases: {dict(Counter(o.found for o in found))}; {asked.out}")


def _table(found: list[damage.Outcome], by: str) -> dict[str, dict[str, int]]:
    names = sorted({getattr(o, by) for o in found})
    return {n: {k: c for k in FOUND if (c := sum(o.found == k and getattr(o, by) == n for o in found))} for n in names}


if __name__ == "__main__":
    main()
