"""What objectives are made of: pairs, tiles, rows, relations, worlds, checks."""
