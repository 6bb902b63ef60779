"""Pure functions of vectors (N, D): one file a question that is put to them."""
