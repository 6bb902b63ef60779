"""Honest measurement: fixed protocols, one file each, with floors beside every figure.

A protocol's file says what it ``TAKES`` and how it is to ``measure`` that:

================  ============================================  ==================================================
``TAKES``         ``measure``                                   is handed
================  ============================================  ==================================================
"labels"          ``measure(train, test, *, seed) -> dict``     two `nearfar.evaluation.features.Features`
"named labels"    the same                                      with ``prompts``, the vectors of the classes' names
"pairs"           ``measure(sides, *, seed) -> dict``           `nearfar.evaluation.sides.Sides`
"scored pairs"    the same                                      with ``score``
"labelled pairs"  the same                                      with ``label``
================  ============================================  ==================================================

A file without ``TAKES`` takes labels. Probes and galleries are fitted on `train`, thresholds chosen on development
pairs; test rows are scored once and never chosen on; every setting stands beside its figure.
"""
