"""One file a format: ``recognises(path) -> bool`` and ``open(path) -> Raw``.

Readers are asked in the order of their ``RANK`` (5 where there is none, of a plug-in −1: it is asked first); the first
that recognises a path reads it. A file opens as itself, a folder as the files in it (`nearfar.data.readers.folders`);
what cannot be read is a `DataError` that names the file, and a row that cannot be is in `Raw.bad`.
"""
