"""Encoders, one file a family, found by name: ``small_cnn``, ``resnet18``, ``timm:NAME``, ``text_rnn`` …

An encoder's file says which ``MODALITIES`` it takes, has a one-line ``SUMMARY`` and a function ``build`` whose
keyword arguments are the modality's shape (``channels, size`` of images, ``features`` of rows, ``vocabulary, length``
of texts) and its own options. What it builds maps (N, ...) to features (N, D) and has ``out_features`` = D.

A file may define ``TOKENS``, the tokeniser that it wants for texts, and ``settle(options)``, which is called once when
a training is planned and returns the options with all that a run needs to be built from its folder alone. What it
builds may have ``setup(values)``, called once with the training rows before the first step.
"""
