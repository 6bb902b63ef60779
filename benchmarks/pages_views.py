"""The page docs/results/views.md, written from what benchmarks/views.py left.

    python benchmarks/pages_views.py

A test asserts that the page says what the JSON says.
"""

from __future__ import annotations

import json
from pathlib import Path

from tables import ROOT, rows


def views() -> str:
    """Images per second of the SimCLR chain, beside the peers."""
    d = json.loads((ROOT / "speed" / "views.json").read_text(encoding="utf-8"))
    names = list(next(iter(d["sizes"].values()))["images_per_second"])
    rates = [
        [name, *(f"{s['images_per_second'][name]:,.0f}" for s in d["sizes"].values())] for name in names
    ]  # fmt: skip
    ratios = []
    for size, s in d["sizes"].items():
        asked = {"torchvision per image": f"≥ {s['asked_of_torchvision']:g}", "best batched peer": "> 1"}
        for kind, r in s["ratio"].items():
            low, high = r["by_round"]
            ratios.append([
                f"{size} × {size}", f"{kind} ({r['peer']})", f"{r['ratio']:.1f}", f"{low:.1f} … {high:.1f}",
                asked.get(kind, "–"),
            ])  # fmt: skip
    step = d["step"]
    sizes = [f"{s} × {s}" for s in d["sizes"]]
    return f"""# Speed of the views

The full SimCLR chain (crop, flip, jitter, greyscale, from 64 pixels on blur) with the same settings for all, one core.
Images per second of CPU time, median of {d["rounds"]} rounds in which the contenders take turns ({d["machine"]}, torch
{d["torch"]}, torchvision {d["torchvision"]}, kornia {d["kornia"]}, lightly {d["lightly"]}).

{rows(["", *sizes], rates)}

"torchvision, batch" draws one set of numbers for all images of the batch, all others one for each image.

{rows(["size", "ours over", "ratio", "by round", "asked"], ratios)}

Share of a training step that the views take at 32 × 32 ({step["encoder"]}, {step["precision"]}, {step["rows"]} rows, two
views): **{100 * step["share"]:.1f} %** (by round {100 * step["by_round"][0]:.1f} … {100 * step["by_round"][1]:.1f} %; asked
≤ {100 * step["asked"]:.0f} %): {1000 * step["views_seconds"]:.0f} ms of {1000 * step["step_seconds"]:.0f} ms.

Not measured: any GPU (`--device cuda` does it).

```console
$ {d["command"]}
```
"""


if __name__ == "__main__":
    (Path(ROOT) / "views.md").write_text(views(), encoding="utf-8")
