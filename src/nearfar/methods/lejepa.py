"""LeJEPA: views agree, and every direction of the batch looks like a standard Gaussian (SIGReg)."""

from __future__ import annotations

from nearfar.methods.parts import Mlp
from nearfar.methods.record import Figure, Loss, Method, Paper, compare_views

# Weight 0.05 and 17 knots as in the paper; each step draws new directions. The paper compares with the mean of the
# global views only; here all views are global.
RECORD = Method(
    name="lejepa",
    idea="views agree, and the batch looks Gaussian in every direction; no negatives, no twin",
    paper=Paper("Balestriero, LeCun", 2025, "2511.08544"),
    published=(Figure(0.640, "linear probe", "ImageNet, ViT-S/16, 100 epochs (lightly)"),),
    objective=Loss("sigreg"),
    projector=Mlp(hidden=512, out=64, layers=3),
    count=4,
    wants=("several views of each row",),
)

compare = compare_views
