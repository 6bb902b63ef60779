"""Features that are computed from the training rows and not trained: one file a kind, ``model.fixed``.

Beside the features that are learnt they keep what plain statistics of the data are worth, whatever the training does.
A file says which ``MODALITIES`` it takes, has a one-line ``SUMMARY`` and a function ``build`` whose keyword arguments
are the modality's shape, as an encoder's are, and its own options. What it builds is a module without parameters, whose
buffers ``setup(x)`` fills from training rows, at most ``setup_rows`` of them, as `forward` takes them; it maps (N, ...)
to (N, D) and has ``out_features`` = D. It may have ``follow(encoder)``, called when what it stands beside has changed.
"""
