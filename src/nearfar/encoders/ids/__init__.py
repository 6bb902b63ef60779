"""Encoders of histories. Beside what `nearfar.encoders` says, they know ``candidates(ids)``: the vectors of items (K, D)
as they are compared with a user's, all of them for None; the score of an item for a user is the dot product."""
