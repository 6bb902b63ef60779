"""Walk over the operations of verbs, in a process of its own: ``python -m tests.faults.walk PLACE SEED SAMPLE VERB …``.

SAMPLE is ``all``, every operation meeting all that may happen to it; ``each``, every operation meeting one of these,
drawn by the seed; or a number of cases, drawn by the seed. What was tried and what was wrong is printed as JSON, a line
a verb.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path


def main(place: Path, seed: int, sample: str, names: list[str]) -> None:
    from tests.faults.verbs import VERBS, Walk, make_data

    os.environ["NEARFAR_HOME"] = str(place / "home")
    (place / "data").mkdir(parents=True)
    make_data(place / "data")
    for name in names or VERBS:
        began, draw = time.monotonic(), random.Random(f"{seed} {name}")
        walk = Walk(VERBS[name], place)
        chosen = drawn(walk.cases(), sample, draw)
        faults = []
        for at, how in chosen:
            if wrong := walk.case(at, how):
                faults.append({"operation": walk.operations[at], "at": at, "how": how, **wrong})
                print(name, faults[-1], file=sys.stderr, flush=True)
        found = {"verb": name, "operations": len(walk.operations), "cases": len(chosen), "faults": faults}
        print(json.dumps(found | {"seconds": round(time.monotonic() - began, 1)}), flush=True)


def drawn(cases: list[tuple[int, str]], sample: str, draw: random.Random) -> list[tuple[int, str]]:
    """The cases to try."""
    if sample == "all":
        return cases
    if sample == "each":
        return [draw.choice([c for c in cases if c[0] == at]) for at in sorted({at for at, _ in cases})]
    return sorted(draw.sample(cases, min(len(cases), int(sample))))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
