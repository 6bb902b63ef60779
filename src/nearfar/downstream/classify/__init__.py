"""Classes of new rows, from a few labelled ones."""
