"""Shots: few labels as text embeddings are measured, 8 and 16 labelled rows per class.

The protocol of SetFit's head (Tunstall et al. 2022, arXiv 2209.11055) and of classification in MTEB (Muennighoff et al.
2022, arXiv 2210.07316: 8 labels, 10 draws), which both take scikit-learn's C of 1. Where it departs from theirs: SetFit
trains the encoder on each draw, here it stays as it is; of two classes scikit-learn has one column of weights, whose C
is 2 for the same regression; both take the encoder's vectors as they come, which are of unit length for most sentence
encoders and are made so here.
"""

from __future__ import annotations

from nearfar.evaluation.protocols.few_labels import UNIT, FewLabels
from nearfar.evaluation.protocols.few_labels import figures as figures

TITLE = "shots"
PLACE = 3
TAKES = "labels"
FITS = True

SHOTS = FewLabels(amounts=(8, 16), draws=10, c=1.0, features=UNIT, smaller=True)
measure = SHOTS.measure
left_out = SHOTS.left_out
