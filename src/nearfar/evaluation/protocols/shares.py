"""Shares of the labels: what a probe makes of 1 % and 10 % of them.

The usual measure of learning with few labels after learning without (Chen et al. 2020, arXiv 2002.05709, whose encoder
is trained on with the labels; here it stays as it is).
"""

from __future__ import annotations

from nearfar.evaluation.protocols.few_labels import LABELLED, FewLabels
from nearfar.evaluation.protocols.few_labels import figures as figures

TITLE = "label shares"
PLACE = 4
TAKES = "labels"
FITS = True

SHARES = FewLabels(amounts=(0.01, 0.1), draws=5, c=None, features=LABELLED)
measure = SHARES.measure
left_out = SHARES.left_out
