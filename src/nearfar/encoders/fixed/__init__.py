"""Features that are computed from the training rows and not trained: one file a kind, ``model.fixed``.

Beside the features that are learnt they keep what plain statistics of the data are worth, whatever the training does.
A file is like an encoder's (`nearfar.encoders`), but what it builds has no parameters: ``setup(x)`` fills its buffers
from training rows. It may have ``follow(encoder)``, called when what it stands beside has changed.
"""
