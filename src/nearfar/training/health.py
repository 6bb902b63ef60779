"""Warnings of a training: that embeddings collapse, or that the model becomes worse, and which knob to turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
import torch.nn.functional as F

from nearfar.core.schema import within
from nearfar.evaluation.verdict import WATCHED, WHAT_TO_DO, noise
from nearfar.methods.no_learning import no_learning
from nearfar.methods.record import Method
from nearfar.vectors.geometry import alignment, effective_rank, mean_cosine, uniformity

SAMPLE = 512  # rows that the figures are computed from
ALIKE = 0.99  # mean cosine of different rows from which on they count as one point
FLAT = 0.02  # effective rank below this share of the dimensions (or 1.5) is a collapse
STUCK = 0.002  # loss within this share of its no-learning level has learnt nothing …
LONG = 0.1  # … if it stays there for this share of all steps; some losses only pass it
EARLY = 0.3  # share of all steps in which a figure may fall and come back
LOOKS = 2  # in a row that must be worse than the start
NARROW = 0.5  # share of the first feature rank below which a smaller loss of the figure counts as well …
NARROWER = 0.75  # … of so much of what else may be chance


@dataclass
class Seen:
    """What a monitor has seen and warned of, which a checkpoint keeps."""

    told: list[str] = field(default_factory=list)  # kinds of warnings that were given, sorted
    moved: Annotated[int, within(0)] = 0  # last step at which the loss was not at its no-learning level
    start: dict[str, float | None] = field(default_factory=dict)  # the look at held-out rows before the first step
    before: dict[str, float | None] = field(default_factory=dict)  # the figure at the look before this one
    fallen: Annotated[int, within(0)] = 0  # looks in a row that were worse than the start


class Monitor:
    """Watches the embeddings of a training and warns, once each, of what goes wrong; `rows` of the global batch."""

    def __init__(self, record: Method, rows: int) -> None:
        self.record = record
        self.no_learning = no_learning(record, rows)
        self.seen = Seen()

    @torch.no_grad()
    def measure(self, z: torch.Tensor, features: torch.Tensor, other: torch.Tensor | None) -> dict[str, float]:
        """Geometry of one batch: of its embeddings `z` (N, D), its features, and the other view's embeddings."""
        z, features = z[:SAMPLE], features[:SAMPLE]
        if len(z) < 3:
            return {}
        row = {
            "rank": float(effective_rank(F.normalize(z.float(), dim=1))),
            "feature_rank": float(effective_rank(features)),
            "uniformity": float(uniformity(z)), "cosine": float(mean_cosine(z)),
            "room": min(z.shape[1], len(z) - 1),
        }  # fmt: skip
        if other is not None and other.shape[1] == z.shape[1]:
            row["alignment"] = float(alignment(z, other[:SAMPLE]))
        return row

    def update(self, step: int, total: int, row: dict[str, Any]) -> list[str]:
        """Warnings of a collapse that this line of metrics gives cause for, each given once."""
        if step < max(10, 0.03 * total) or "cosine" not in row:
            return []  # fresh heads map everything close together for a moment
        signs = {}
        if row["cosine"] > ALIKE:
            signs["alike"] = f"all rows have nearly the same embedding (mean cosine {row['cosine']:.3f})."
        elif self.record.positives == "views" and row["rank"] < max(1.5, FLAT * row["room"]):
            signs["flat"] = f"the embedding uses {row['rank']:.1f} of its {row['room']} dimensions."
        if not self.no_learning or abs(row["loss"] - self.no_learning) >= STUCK * self.no_learning:
            self.seen.moved = step
        elif step > 0.2 * total and step - self.seen.moved >= LONG * total:
            signs["stuck"] = f"the loss is {row['loss']:.3f}, no better than without learning ({self.no_learning:.3f})."
        new = {k: v for k, v in signs.items() if k not in self.seen.told}
        if not new:
            return []
        self.seen.told = sorted({*self.seen.told, *new})
        r = self.record.at(step / total)  # its schedules where they are now
        if r.twin and r.predictor is None and not r.parts:
            advice = "Without a predictor nothing keeps a twin from collapsing: restore method.predictor."
        elif r.twin and not r.parts:
            advice = "Lower --lr, or bring method.twin.momentum closer to 1."
        elif r.temperature is not None and r.temperature > 0.5:
            advice = f"Lower the temperature (--set method.temperature=0.2; it is {r.temperature})."
        else:
            advice = "Lower --lr, add warm-up (optim.warmup), weaken the views, or see whether the rows are all alike."
        return [f"collapse: {text} {advice}" for text in new.values()]

    def look(self, step: int, total: int, row: dict[str, Any]) -> list[str]:
        """The warning, given once, that held-out rows are worse than before the first step: see docs/metrics.md."""
        seen = self.seen
        if step == 0:
            seen.start = dict(row)
        known = [k for k in (*WATCHED, "heldout_views") if None not in (seen.start.get(k), row.get(k))]
        if step == 0 or not known:
            return []
        key = known[0]
        words, rows = WATCHED.get(key, ("Recall at 1 between two views of held-out rows", "heldout_rows"))
        first, now, before = seen.start[key], row[key], seen.before.get(key)
        ranks = [seen.start.get("heldout_rank"), row.get("heldout_rank")]
        narrow = None not in ranks and ranks[1] < NARROW * ranks[0]
        chance = noise(key, first, now, seen.start.get(rows) or 0)
        # A rank that has fallen is no bad sign by itself: a smaller loss of the figure counts then, and without labels
        # recall between views of a row, which is no measure alone.
        lost = first - now > (NARROWER * chance if narrow and key in WATCHED else chance) and (key in WATCHED or narrow)
        rises = before is not None and now - before > chance / 2
        seen.fallen = seen.fallen + 1 if lost and not rises else 0
        seen.before = {key: now}
        if seen.fallen < LOOKS or step < EARLY * total or "worse" in seen.told:
            return []
        seen.told = sorted({*seen.told, "worse"})
        rank = f", and the effective rank of the features {ranks[1]:.0f} after {ranks[0]:.0f}" if narrow else ""
        return [f"{words}: {now:.3f} at step {step:,}, {first:.3f} before the first step{rank}: training is making "
                f"this model worse. {WHAT_TO_DO}"]  # fmt: skip
