"""Encoders of histories, which know items as well as users.

``candidates(ids)`` gives the vectors of items (K, D) as they are compared with a user's, all of them for None: the
score of an item for a user is the dot product. ``taken`` (I,) says how often each is in the training rows. Where a user
is a sum over events, ``contributions(x)`` gives its parts.
"""
