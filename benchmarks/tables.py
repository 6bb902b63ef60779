"""The pages of docs/results, written from the JSON that the benchmarks left.

    python benchmarks/tables.py

A test asserts that the pages say what the JSON says.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pages_encode
import pages_objectives

ROOT = Path(__file__).parents[1] / "docs" / "results"


def read(folder: str) -> dict[str, dict[str, Any]]:
    """The JSON files of a folder by name."""
    return {f.stem: json.loads(f.read_text(encoding="utf-8")) for f in sorted((ROOT / folder).glob("*.json"))}


def rows(header: list[str], body: list[list[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *body]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def share(figure: dict[str, Any]) -> str:
    """An accuracy with its interval."""
    low, high = figure["interval"]
    return f"{figure['accuracy']:.3f} [{low:.3f}, {high:.3f}]"


def commands(found: dict[str, dict[str, Any]]) -> str:
    """What was typed."""
    return "```console\n" + "\n".join(f"$ {d['command']}" for d in found.values()) + "\n```"


def network(d: dict[str, Any]) -> str:
    """The encoder of a CIFAR-10 result; older ones are told by their parameters."""
    return d.get("encoder") or {4_035_312: "small_cnn", 1_158_736: "pooled_cnn"}[d["parameters"]]


def _figures(r: dict[str, Any]) -> list[str]:
    one = r.get("shares", {}).get("1 %")
    return [share(r["linear_probe"]), share(r["knn"]), f"{r['knn']['all'][1]['accuracy']:.3f}",
            f"{r['few_labels']['10']['mean']:.3f}", f"{one['mean']:.3f} ± {one['std']:.3f}" if one else "–"]  # fmt: skip


def cifar10() -> str:
    """CIFAR-10: what ten epochs give."""
    found = read("cifar10")
    asked = {"supcon": "≥ 0.84, target 0.87 (both)", "simclr": "≥ 0.63, target 0.68 (linear)",
             "emp_ssl": "≥ 0.763 without labels (linear)", "together": "≥ 0.763 without labels (linear)"}  # fmt: skip
    body = []
    for d in found.values():
        seconds = d["training_seconds"]
        minutes, goal = f"{seconds / 60:.1f}" if seconds else "–", asked.get(d["case"], "–")
        about = [d["case"], network(d), str(d["seed"])]
        body.append([*about, *_figures(d["evaluation"]["results"][0]), minutes, goal])
        if "averaged" in d:
            about[0] += ", mean of 9 patches"
            body.append([*about, *_figures(d["averaged"]["results"][0]), minutes, goal])
    floors = next((d["evaluation"]["results"][0]["floors"] for d in found.values()
                   if "raw_input" in d["evaluation"]["results"][0]["floors"]), None)  # fmt: skip
    if floors:
        body.append(["raw pixels", "–", "–", *_figures(floors["raw_input"]), "–", "–"])
    table = rows(["case", "encoder", "seed", "linear probe", "kNN (20, τ 0.07)", "kNN (200, τ 0.1)", "10 labels/class",
                  "1 % of labels", "training minutes", "asked"], body)  # fmt: skip
    any_ = next(iter(found.values()))
    loads = ", ".join(f"{d['case']} {d['machine'].split()[-1]}" for d in found.values())
    knobs = "\n".join(f"- `{d['case']}`: " + ", ".join(f"{k} {v}" for k, v in d["knobs"].items() if k != "method")
                      for d in found.values() if d["case"] != "untrained")  # fmt: skip
    tried = json.loads((ROOT / "cifar10-tried.json").read_text(encoding="utf-8"))
    timed, short = tried["timed"], tried["pilots"]
    networks = rows([timed["what"], "million products", "fp32", "bf16", "ratio"], [
        [n["network"], str(n["mmacs"]), f"{n['fp32']:.2f}", f"{n['bf16']:.2f}", f"{n['fp32'] / n['bf16']:.2f}"]
        for n in timed["networks"]])  # fmt: skip
    pilots = rows([short["what"], "epochs", "kNN", "linear probe"], [
        [r["network"], str(r["epochs"]), f"{r['knn']:.3f}", f"{r['linear_probe']:.3f}"] for r in short["runs"]])  # fmt: skip
    before = rows([tried["before"]["what"], "linear probe", "kNN (20, τ 0.07)", "training minutes"], [
        [r["case"], f"{r['linear_probe']:.3f}", f"{r['knn']:.3f}", f"{r['minutes'] or '–'}"]
        for r in tried["before"]["runs"]])  # fmt: skip
    together = (
        "`together` is the vectors of `emp_ssl` and `vicreg` side by side (`nearfar ensemble`), in the longer one's minutes: a\n"
        "core for each. " if "together-seed0" in found else ""
    )  # fmt: skip
    return f"""# CIFAR-10 in ten epochs on two cores

The tutorial that nearfar grew from prints "Test accuracy: 0.763" from code that cannot have produced it
([formulas](../formulas.md)). Here is what ten epochs give: trained on the 50,000 training images, measured once on the
10,000 test images; nothing was chosen on these. Accuracy with its 95 % interval (Wilson); kNN by cosine.

{table}

`supcon` and `supervised` learn from the labels, the others from none, `untrained` is the same network with fresh weights.
"1 % of labels": logistic regression on 50 labelled rows of each class, mean ± standard deviation over five draws.
`emp_ssl` sees patches of 16 × 16 pixels, eight of each picture; what it makes of a whole picture at once (one view) and
the mean of its features of 3 × 3 patches stand apart. Its network is `pooled_cnn` with widths 80, 160 and 384.
{together}`byol`, `emp_ssl` and `vicreg` were trained on one core each, while the other core did other work.
`pooled_cnn` (1,158,736 parameters, features of 256 dimensions) is the default from 32 pixels on; `small_cnn` (4,035,312
and 512) was before; what all of them gave with that one stands below.
Machine: {any_["machine"].split(", load")[0]}; minutes are wall-clock time of training on it, while other work ran beside
(load average at the end of each: {loads}).

{before}

{knobs}

{commands(found)}

**Chosen on** training rows only: short trainings on 25,000 of them, measured on 5,000 others. The knobs were chosen
with `small_cnn`, the default before; the network by its time and by what is below, in order of trial.

{networks}

{pilots}

**Published for comparison**: SimCLR with ResNet-18 reaches 0.565 (linear probe) after 10 epochs and 0.910 after 1,000
(EMP-SSL's table); SupCon 0.960 with ResNet-50 after 1,000 (the paper).
**Not measured**: ResNet-18 for 200 epochs. No GPU was at hand; the command is
`nearfar train DATA --method simclr --encoder resnet18 --epochs 200 --batch-size 512`.
"""


def speed() -> str:
    """Claims about speed, with the peer in the same run."""
    found = read("speed")
    body = []
    if d := found.get("step"):
        body.append(["whole step / bare forward and backward of the same views", f"{d['ratio']:.3f}", "≤ 1.08",
                     f"{d['ours_seconds'] * 1000:.0f} ms / {d['peer_seconds'] * 1000:.0f} ms; by block "
                     f"{d['ratio_by_block'][0]:.3f} … {d['ratio_by_block'][2]:.3f}"])  # fmt: skip
    if d := found.get("lightly"):
        rates = ", ".join(f"{k}: {v:.0f}" for k, v in d["images_per_second"].items())
        body.append([f"images per second / lightly {d['lightly']}, each at its defaults",
                     f"{d['ratio_defaults']:.2f}", "≥ 2.5", rates])  # fmt: skip
        body.append(["the same, both in fp32", f"{d['ratio_fp32']:.2f}", "reported", ""])
    if d := found.get("views"):
        for side, asked in (("32", "≥ 10"), ("96", "≥ 3"), ("224", "≥ 3")):
            ratio = d["sizes"][side]["ratio"]
            body.append([f"views of {side} × {side} pictures per second and core / torchvision per image",
                         f"{ratio['torchvision per image']['ratio']:.1f}", asked,
                         f"best batched peer: {ratio['best batched peer']['ratio']:.1f}; see [views](views.md)"])  # fmt: skip
    if d := found.get("kept"):
        body.append(["a step over a table of 65,536 words: freed memory given back / kept (glibc)", f"{d['ratio']:.2f}", "–",
                     f"{d['seconds']['returned'] * 1000:.0f} ms / {d['seconds']['kept'] * 1000:.0f} ms; by block "
                     f"{d['ratio_by_block'][0]:.2f} … {d['ratio_by_block'][1]:.2f}"])  # fmt: skip
    if d := found.get("static_step"):
        for name, (low, middle, high) in d["ratio"].items():
            body.append([f"texts per second of a training step of the default encoder / {name}", f"{middle:.2f}", "≥ 1",
                         f"{d['rows_per_second']['nearfar']:,.0f} / {d['rows_per_second'][name]:,.0f}; by block "
                         f"{low:.2f} … {high:.2f}"])  # fmt: skip
    body += pages_objectives.speed_rows()
    body += pages_encode.speed_rows(found["encode"]) if "encode" in found else []
    any_ = found.get("lightly") or next(iter(found.values()))
    return f"""# Speed

Ratios of medians over blocks that take turns in one run; seconds depend on the machine
({any_["machine"]}, torch {any_["torch"]}), ratios less so.

{rows(["claim", "ratio", "asked", "figures"], body)}

{commands(found)}

Memory of a loss is how far the peak of the process rises in its first full call. The plain forms hold all pairs; three
products are the bare matrix products of the same size, which no form can do without.

{pages_encode.section(found["encode"], rows) if "encode" in found else ""}{_sizes(found.get("text_size"))}"""


def _sizes(d: dict[str, Any] | None) -> str:
    """How long texts take by their number."""
    if d is None:
        return ""
    body = [
        [f"{s['rows']:,}", f"{s['cpu_seconds']:.0f}", f"{s['ms_per_row']:.2f}", f"{s['epochs']} of at most {s['at_most']}",
         f"{s['kept']:,} of {s['steps']:,}"] for s in d["sizes"]
    ]  # fmt: skip
    return f"""
## Trainings of short texts by their number

Captions and news, without labels, by default: processor seconds of one thread from the texts to the model. Asked was at
most 60 seconds up to 10,000 texts, and a time for each text that falls or stays. A training ends where held-out rows gain
nothing any more, so that many texts take few epochs.

{rows(["texts", "seconds", "ms a text", "epochs", "best state after steps"], body)}
"""


def digits() -> str:
    """The demonstration's figures over seeds, and how its recipe was chosen."""
    d = read("digits")["digits"]
    counts = ["1", "2", "5", "10"]
    body = []
    for name, values in d["accuracy"].items():
        body.append([name, *(f"{values[c]['mean']:.3f}" for c in counts)])
    body.append(["asked", *(f"{d['asked'][c]:.3f}" for c in counts)])
    over = [
        ["trained − raw pixels, 95 %", *(f"[{d['above_raw'][c][0]:+.3f}, {d['above_raw'][c][1]:+.3f}]" for c in counts)]
    ]
    tried = [[json.dumps(t["knobs"]), *(f"{t['accuracy'][c]:.3f}" for c in counts), f"{t['seconds']:.0f}"]
             for t in d["tried"]]  # fmt: skip
    return f"""# The demonstration: handwritten digits, no labels used in training

scikit-learn's 1,797 digits; a third is held out for the test, logistic regression on 1, 2, 5 and 10 labels per class,
20 draws. `nearfar demo` is seed 0; below is the mean over seeds {", ".join(map(str, d["seeds"]))}, the interval is seed 0's,
paired over the same draws. Training took {d["training_seconds"]:.0f} seconds ({d["machine"]}).

{rows(["labels per class", *counts], body + over)}

## How the recipe was chosen

On the training rows alone: two thirds of them trained on, one third measured, two splits. In order of trial:

{rows(["changed", *counts, "seconds"], tried)}

```console
$ {d["command"]}
```
"""


PAGES: dict[str, Callable[[], str]] = {"cifar10": cifar10, "speed": speed, "digits": digits}


def main() -> None:
    for name, page in PAGES.items():
        if (ROOT / name).is_dir():
            (ROOT / f"{name}.md").write_text(page(), encoding="utf-8")
    import pages_align  # they take tables from here
    import pages_classify
    import pages_methods
    import pages_pictures
    import pages_positives
    import pages_several
    import pages_stopping
    import pages_text
    import pages_views

    pages_align.main()
    pages_methods.main()
    pages_pictures.main()
    (ROOT / "positives.md").write_text(pages_positives.page(), encoding="utf-8")
    (ROOT / "views.md").write_text(pages_views.views(), encoding="utf-8")
    pages_classify.main()
    pages_several.main()
    pages_stopping.main()
    (ROOT / "text.md").write_text(pages_text.text(), encoding="utf-8")
    (ROOT / "pairs.md").write_text(pages_text.pairs(), encoding="utf-8")
    losses = pages_objectives.losses()  # read before it is written
    (ROOT.parent / "losses.md").write_text(losses, encoding="utf-8")


if __name__ == "__main__":
    main()
