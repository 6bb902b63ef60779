"""One file a format: ``recognises(path) -> bool`` and ``open(path) -> Raw``. The first that recognises a path reads it."""
