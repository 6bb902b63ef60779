"""What docs/results/pretrained.md shows of scored pairs and of texts without labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import tables
from tables import over

from nearfar.evaluation import verdict


def of(case: str) -> list[dict[str, Any]]:
    """The files of a case, all sets and seeds."""
    return [d for name, d in tables.read("pretrained").items() if name.startswith(f"{case}-")]


def scores() -> str:
    """Spearman of the cosines of STS-B, as it is and adapted."""
    found = of("scores")
    body = [
        [split, *(over([d["results"][split][way]["spearman"] for d in found]) for way in ("frozen", "adapted"))]
        for split in ("dev", "test")
    ]
    return tables.rows(["pairs", "frozen", "adapted"], body)


def scores_training() -> str:
    """What the defaults came to, and how long it took."""
    found = of("scores")
    t = found[0]["training"]
    return (f"{t['method']}, temperature {t['temperature']}, learning rate {t['lr']:.2g}, {t['epochs']} epochs of "
            f"batches of {t['batch_size']}, {np.mean([d['seconds'] for d in found]):.0f} CPU seconds")  # fmt: skip


def none() -> str:
    """Accuracy of few labels, as it is and with what unlabelled texts added."""
    body = []
    for name in dict.fromkeys(d["set"] for d in of("none")):
        seeds = [d for d in of("none") if d["set"] == name]
        for labels in seeds[0]["results"]:
            each = [d["results"][labels] for d in seeds]
            gains = np.concatenate([np.subtract(r["adapted"], r["frozen"]) for r in each])
            body.append([
                name, labels, f"{np.mean([r['frozen'] for r in each]):.3f}",
                f"{np.mean([r['adapted'] for r in each]):.3f}", f"{gains.mean():+.3f}",
                f"{(gains < 0).sum()} of {len(gains)}", str(len(seeds)),
            ])  # fmt: skip
    head = ["set", "labels a class", "frozen", "with 5,000 unlabelled texts", "mean gain", "draws below", "seeds"]
    return tables.rows(head, body)


def states() -> str:
    """What two measures would choose among the looks at a training, and what that gains or loses."""
    body = []
    for d in of("states"):
        for name, training in d["trainings"].items():
            looks = training["looks"]
            row = [d["set"], name]
            for measure in (verdict.label_free, lambda x: x["heldout_agreement"]):
                worth = [measure(x) if x["step"] == 0 or verdict.tells_apart(x, looks[0]) else -np.inf for x in looks]
                one = looks[int(np.argmax(worth))]
                row += [str(one["step"]), f"{one['accuracy_few'] - looks[0]['accuracy_few']:+.3f}"]
            gains = [x["accuracy_few"] - looks[0]["accuracy_few"] for x in looks[1:]]
            body.append([*row, f"{gains[-1]:+.3f}"])
    head = ["set", "training", "agreement × √rank: step", "gain", "agreement: step", "gain", "last step: gain"]
    return tables.rows(head, body)
