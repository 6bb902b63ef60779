"""Encoders, one file a family, found by name: ``small_cnn``, ``resnet18``, ``timm:NAME`` …

An encoder's file says which ``MODALITIES`` it takes, has a one-line ``SUMMARY`` and a function ``build`` whose
keyword arguments are the modality's shape (``channels, size`` of images, ``features`` of rows) and its own options.
What it builds maps (N, ...) to features (N, D) and has ``out_features`` = D.
"""
