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

A file without ``TAKES`` takes labels. ``FITS`` says whether something is fitted on `train`, for which rows have to be
held back; what fits nothing is scored on all rows that no model was trained on, or on the test split. By default it
is true of what takes labels. ``left_out(labels) -> str``, where there is one, is a sentence about figures that these
training rows have too few for, or an empty text. The printed table and the report show, under its ``TITLE``, which of
the figures that it gives is its ``HEADLINE`` ("accuracy" where it does not say), with ``interval`` beside it, two
numbers; of what is given in dicts by column or direction, one for each. Where no figure has that name, all of them
are shown.

Probes and galleries are fitted on `train`, thresholds chosen on development pairs; test rows are scored once and never
chosen on; every setting stands beside its figure.
"""
