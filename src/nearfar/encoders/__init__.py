"""Encoders, one file a family, found by name: ``small_cnn``, ``resnet18``, ``timm:NAME``, ``text_rnn`` …

An encoder's file says which ``MODALITIES`` it takes, has a one-line ``SUMMARY`` and a function ``build`` whose
keyword arguments are the modality's shape (``channels, size`` of images, ``features`` of rows, ``vocabulary, length``
of texts) and its own options. What it builds maps (N, ...) to features (N, D) and has ``out_features`` = D.

A file may define ``TOKENS``, the tokeniser that it wants for texts; ``BESIDE``, where fixed features are known to help
beside it, with options that then stand for its defaults; ``STEPS``, about how many of them "auto" epochs are on one
column without labels, where that is not `resolve.TARGET_STEPS`; ``RATES``, learning
rates for 256 rows there by method, where its own is not best; and ``settle(options)``, which is called once when a
training is planned and returns the options with all that a run needs to be built from its folder alone: ``build`` looks
nothing up, since the folder may be a stranger's. What it builds may have ``fetch()``, which takes pretrained weights
and is called once, when a training begins, and ``setup(x)``, called then with the training rows as it takes them, or
with no more than its ``setup_rows`` of them, drawn evenly.
"""
