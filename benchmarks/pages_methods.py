"""docs/results/methods.md and the figures that `nearfar methods` shows, written from what benchmarks/methods.py left.

python benchmarks/pages_methods.py
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tables

from nearfar.core.registry import METHODS

FIGURES = Path(__file__).parents[1] / "src" / "nearfar" / "methods" / "figures.json"


def found() -> list[dict[str, Any]]:
    """The results of seed 0, the best linear probe first."""
    return sorted((d for d in tables.read("methods").values() if d["seed"] == 0), key=lambda d: -linear(d)["accuracy"])


def linear(d: dict[str, Any]) -> dict[str, Any]:
    """The linear probe's figures."""
    return d["results"][0]["linear_probe"]


def row(d: dict[str, Any]) -> list[str]:
    """A line of the table."""
    r, best = METHODS.get(d["method"]).RECORD, d["results"][0]
    published = f"{r.published[0].value:.3f}, {r.published[0].what}: {r.published[0].setting}" if r.published else "–"
    return [
        f"`{d['method']}`", str(d["views"]) if d["epochs"] else "–", str(d["epochs"]), tables.share(linear(d)),
        tables.share(best["knn"]), f"{best['geometry']['effective_rank']:.0f}",
        f"{d['training_seconds'] / 60:.1f}", str(d["peak_mib"] or "–"), published,
    ]  # fmt: skip


def figures() -> dict[str, Any]:
    """What the package carries."""
    shown = {
        d["method"]: {
            "linear": linear(d)["accuracy"],
            "knn": d["results"][0]["knn"]["accuracy"],
            "minutes": round(d["training_seconds"] / 60, 1),
        }
        for d in sorted(found(), key=lambda d: d["method"])
    }
    return {"setting": "CIFAR-10, 10,000 rows, 200,000 views, pooled_cnn, seed 0", "methods": shown}


def behind(all_: list[dict[str, Any]]) -> str:
    """The methods that are not above the untrained network, in a sentence."""
    floor = next((linear(d)["interval"][1] for d in all_ if d["method"] == "random"), 0.0)
    names = [f"`{d['method']}`" for d in all_ if d["epochs"] and linear(d)["interval"][0] <= floor]
    if not names:
        return ""
    return f"\n**Not above the untrained network** with these numbers after so few views: {', '.join(names)}.\n"


def page() -> str:
    """The whole page."""
    all_ = found()
    any_ = next(d for d in all_ if d["epochs"])
    knobs = ", ".join(f"{k} {any_['knobs'][k]}" for k in ("batch_size", "lr", "weight_decay", "threads"))
    raw = next(
        (d["results"][0]["floors"]["raw_input"] for d in all_ if "raw_input" in d["results"][0].get("floors", {})), None
    )
    body = [row(d) for d in all_]
    if raw:
        body.append(["raw pixels", "–", "–", tables.share(raw["linear_probe"]), tables.share(raw["knn"]), *["–"] * 4])
    missing = [m for m in METHODS if METHODS.get(m).RECORD.takes == "rows" and m not in {d["method"] for d in all_}]
    gap = f"\n**Not measured yet**: {', '.join(f'`{m}`' for m in missing)}.\n" if missing else ""
    table = tables.rows(
        [
            "method",
            "views",
            "epochs",
            "linear probe",
            "kNN (20, τ 0.07)",
            "effective rank",
            "minutes",
            "MiB",
            "published",
        ],
        body,
    )
    return f"""# The methods side by side

Every method of `nearfar methods` on the same {any_["train_rows"]:,} training rows of CIFAR-10 (1,000 of each class, drawn by a fixed seed), with
the same network (`{any_["encoder"]}`, random weights) and the same 200,000 views: ten epochs of two views, fewer epochs for
methods with more views. A small crop counts by its area; what a twin does with views that were made anyway is not
counted, but it is in the minutes.

**Ranks after 200,000 views are not ranks after 200 epochs.** A method that needs long training is at a disadvantage here,
and nothing was tuned for any method: {knobs}, AdamW; everything else is the method's default. One seed: differences
within the intervals (95 %, Wilson) mean little. `supcon` and `supervised` learn from the labels, `random` not at all.

{table}
{behind(all_)}{gap}
The probe and the kNN are fitted on the training rows with all their labels and scored once on the 10,000 test rows; the
effective rank is that of the test rows' features ({any_["results"][0]["geometry"]["dimensions"]} dimensions). Minutes are of one thread while another run
took the other core and the machine had further work: compare them with care. MiB is the process's largest memory,
the pictures included. The last column is the authors' or the peers' figure in their own setting, not comparable with ours.

Machine: {any_["machine"].split(", load")[0]}.

{tables.commands({d["method"]: d for d in all_})}
"""


def main() -> None:
    (tables.ROOT / "methods.md").write_text(page(), encoding="utf-8")
    FIGURES.write_text(json.dumps(figures(), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
