"""What each loss does to 200 points on a circle, as one picture.

    python benchmarks/circle.py [--out docs/pictures/circle.svg]

100 rows with two views each are 200 points in the plane, at random angles. Each panel shows where 400 steps of gradient
descent (Adam, on the points themselves) take them; the losses differ, the start does not. Colours are five labels in
the upper rows of panels, where the loss is given labels; below it is given views only, and a line joins the two views
of a row. The circle has radius 1: losses of cosines do not care for lengths, so their points are drawn on it.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
import torch.nn.functional as F

from nearfar.core import files
from nearfar.methods.record import Loss
from nearfar.objectives.kernel.relation import Relation

ROWS, CLASSES, STEPS, RATE = 100, 5, 400, 0.02
LABELS = {
    "supcon": ("SupCon", {"temperature": 0.2}, True),
    "dcl": ("DCL", {"temperature": 0.2}, True),
    "multi_similarity": ("multi-similarity", {}, True),
    "circle": ("circle", {}, True),
    "triplet": ("triplet, batch-hard", {"mining": "hard", "margin": 0.5}, False),
    "contrastive": ("contrastive, margin 1", {"margin": 1.0}, False),
    "alignment_uniformity": ("alignment + uniformity", {}, True),
}
VIEWS = {
    "info_nce": ("InfoNCE", {"temperature": 0.2}, True),
    "debiased": ("debiased, hard negatives", {"temperature": 0.2, "beta": 1.0}, True),
    "barlow_twins": ("Barlow Twins", {"weight": 1.0}, False),
    "vicreg": ("VICReg", {}, False),
    "whitening": ("W-MSE", {}, True),
    "coding_rate": ("coding rate (EMP-SSL)", {"weight": 2.0}, True),
    "sigreg": ("SIGReg (LeJEPA)", {"weight": 0.2}, False),
}
COLOURS = ("#4269d0", "#efb118", "#d1495b", "#3ca951", "#8a5cd1")
CELL, RADIUS, PER_LINE = 180, 62, 4


def start() -> tuple[torch.Tensor, torch.Tensor]:
    """Two views of each row (2, ROWS, 2), the second a little turned; and the label of each row."""
    g = torch.Generator().manual_seed(0)
    labels = torch.arange(ROWS) % CLASSES
    angle = 2 * math.pi * torch.rand(ROWS, generator=g)
    angle = torch.stack((angle, angle + 0.5 * torch.randn(ROWS, generator=g)))
    return torch.stack((angle.cos(), angle.sin()), -1), labels


def moved(loss: Loss, points: torch.Tensor, group: torch.Tensor, lengths: bool) -> torch.Tensor:
    """Where gradient descent takes the points."""
    z = points.clone().requires_grad_()
    optimizer, relation = torch.optim.Adam([z], lr=RATE), Relation(group)
    for step in range(STEPS):
        optimizer.zero_grad()
        more = {"seed": step} if "seed" in loss.accepts else {}
        loss([z[0], z[1]], relation, **more)[0].backward()
        optimizer.step()
    z = z.detach()
    return F.normalize(z, dim=-1) if lengths else z


def panel(x: float, y: float, title: str, z: torch.Tensor, labels: torch.Tensor | None) -> str:
    """One panel as SVG."""
    scale = RADIUS / max(1.0, float(z.norm(dim=-1).quantile(0.98)) / 1.25)
    place = (z * scale).round(decimals=1)
    middle, parts = (x + CELL / 2, y + CELL / 2 + 8), []
    parts.append(f'<text x="{middle[0]}" y="{y + 18}">{title}</text>')
    parts.append(f'<circle class="ring" cx="{middle[0]}" cy="{middle[1]}" r="{scale:.1f}"/>')
    for i in range(ROWS):
        (ax, ay), (bx, by) = ((middle[0] + float(p[i, 0]), middle[1] - float(p[i, 1])) for p in place)
        colour = COLOURS[int(labels[i])] if labels is not None else f"hsl({360 * i // ROWS} 60% 50%)"
        if labels is None:
            parts.append(f'<path stroke="{colour}" d="M{ax:.1f} {ay:.1f}L{bx:.1f} {by:.1f}"/>')
        parts += [f'<circle fill="{colour}" cx="{u:.1f}" cy="{v:.1f}" r="2.4"/>' for u, v in ((ax, ay), (bx, by))]
    return "<g>" + "".join(parts) + "</g>"


def picture() -> str:
    """All panels."""
    points, labels = start()
    panels = [("start, by label", points, labels), ("start, by row", points, None)]
    for name, (title, parameters, lengths) in LABELS.items():
        panels.append((title, moved(Loss(name, parameters), points, labels, lengths), labels))
    panels.append(panels.pop(1))
    for name, (title, parameters, lengths) in VIEWS.items():
        panels.append((title, moved(Loss(name, parameters), points, torch.arange(ROWS), lengths), None))
    lines = -(-len(panels) // PER_LINE)
    body = "\n".join(
        panel(CELL * (i % PER_LINE), CELL * (i // PER_LINE), title, z, y) for i, (title, z, y) in enumerate(panels)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {CELL * PER_LINE} {CELL * lines + 6}" role="img"
 aria-label="Where each loss takes 200 points on a circle">
<style>svg{{background:#fff}}text{{font:13px system-ui,sans-serif;text-anchor:middle;fill:#222}}
.ring{{fill:none;stroke:#bbb}}circle{{opacity:.8}}path{{fill:none;opacity:.6}}</style>
{body}
</svg>
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/pictures/circle.svg"))
    args = parser.parse_args()
    args.out.parent.mkdir(parents=True, exist_ok=True)
    files.write_atomic(args.out, picture().encode())


if __name__ == "__main__":
    main()
