"""docs/results/pictures.md, written from the JSON that benchmarks/mirrored.py left."""

from __future__ import annotations

import json
from typing import Any

import tables


def page() -> str:
    """What was measured on small sets of pictures."""
    mirrored = json.loads((tables.ROOT / "pictures" / "mirrored.json").read_text(encoding="utf-8"))
    return f"""# Pictures

{section(mirrored)}
{mirrored["machine"]}; nearfar {mirrored["nearfar"]}.
"""


def section(d: dict[str, Any]) -> str:
    """Shares of pictures that are farther from the others when they are mirrored."""
    body = [
        [name, f"{r['rows']:,}", f"{r['share']:.3f}", f"{r['few']:.3f}", f"{r['control']:.3f}", f"{r['cpu_seconds']:.2f}"]
        for name, r in d["found"].items()
    ]
    head = ["training rows of", "rows", "farther when mirrored", f"of the first {d['few']}",
            "half of them mirrored at random", "CPU seconds"]  # fmt: skip
    return f"""## Are mirrored pictures like the others?

Each picture is described by the orientations of its edges in 7 × 7 overlapping cells and compared with all others, as it is
and mirrored. The share that is farther from its nearest other picture when mirrored is one half where left and right are
free. From {d["handed"]:.0%} on views do not mirror unless it is asked for; from {d["asked"]:.0%} on it is said that it may matter.
Both were set by looking at these sets.

{tables.rows(head, body)}

```console
$ {d["command"]}
```
"""


def main() -> None:
    (tables.ROOT / "pictures.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
