"""What docs/results/cifar10.md shows."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tables import ROOT, read, rows, share
from tables import commands as typed


@cache
def found() -> dict[str, dict[str, Any]]:
    return read("cifar10")


@cache
def tried() -> dict[str, Any]:
    return json.loads((ROOT / "cifar10-tried.json").read_text(encoding="utf-8"))


def network(d: dict[str, Any]) -> str:
    """The encoder of a CIFAR-10 result; older ones are told by their parameters."""
    return d.get("encoder") or {4_035_312: "small_cnn", 1_158_736: "pooled_cnn"}[d["parameters"]]


def _figures(r: dict[str, Any]) -> list[str]:
    one = r.get("shares", {}).get("1 %")
    return [share(r["linear_probe"]), share(r["knn"]), f"{r['knn']['all'][1]['accuracy']:.3f}",
            f"{r['few_labels']['10']['mean']:.3f}", f"{one['mean']:.3f} ± {one['std']:.3f}" if one else "–"]  # fmt: skip


def table() -> str:
    """One line a case and seed."""
    asked = {"supcon": "≥ 0.84, target 0.87 (both)", "simclr": "≥ 0.63, target 0.68 (linear)",
             "emp_ssl": "≥ 0.763 without labels (linear)", "together": "≥ 0.763 without labels (linear)"}  # fmt: skip
    body = []
    for d in found().values():
        seconds = d["training_seconds"]
        minutes, goal = f"{seconds / 60:.1f}" if seconds else "–", asked.get(d["case"], "–")
        about = [d["case"], network(d), str(d["seed"])]
        body.append([*about, *_figures(d["evaluation"]["results"][0]), minutes, goal])
        if "averaged" in d:
            about[0] += ", mean of 9 patches"
            body.append([*about, *_figures(d["averaged"]["results"][0]), minutes, goal])
    floors = next((d["evaluation"]["results"][0]["floors"] for d in found().values()
                   if "raw_input" in d["evaluation"]["results"][0]["floors"]), None)  # fmt: skip
    if floors:
        body.append(["raw pixels", "–", "–", *_figures(floors["raw_input"]), "–", "–"])
    return rows(["case", "encoder", "seed", "linear probe", "kNN (20, τ 0.07)", "kNN (200, τ 0.1)", "10 labels/class",
                 "1 % of labels", "training minutes", "asked"], body)  # fmt: skip


def loads() -> str:
    return ", ".join(f"{d['case']} {d['machine'].split()[-1]}" for d in found().values())


def machine() -> str:
    return next(iter(found().values()))["machine"].split(", load")[0]


def knobs() -> str:
    return "\n".join(f"- `{d['case']}`: " + ", ".join(f"{k} {v}" for k, v in d["knobs"].items() if k != "method")
                     for d in found().values() if d["case"] != "untrained")  # fmt: skip


def networks() -> str:
    """Time of the networks that were tried."""
    timed = tried()["timed"]
    return rows([timed["what"], "million products", "fp32", "bf16", "ratio"], [
        [n["network"], str(n["mmacs"]), f"{n['fp32']:.2f}", f"{n['bf16']:.2f}", f"{n['fp32'] / n['bf16']:.2f}"]
        for n in timed["networks"]])  # fmt: skip


def pilots() -> str:
    """Short trainings of theirs."""
    short = tried()["pilots"]
    return rows([short["what"], "epochs", "kNN", "linear probe"], [
        [r["network"], str(r["epochs"]), f"{r['knn']:.3f}", f"{r['linear_probe']:.3f}"] for r in short["runs"]])  # fmt: skip


def before() -> str:
    """The network that was the default before."""
    old = tried()["before"]
    return rows([old["what"], "linear probe", "kNN (20, τ 0.07)", "training minutes"], [
        [r["case"], f"{r['linear_probe']:.3f}", f"{r['knn']:.3f}", f"{r['minutes'] or '–'}"] for r in old["runs"]])  # fmt: skip


def commands() -> str:
    return typed(found())
