"""Data sets by name from the Hugging Face hub, through `datasets`: plain formats only, nothing that runs code."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from nearfar.core.errors import DataError
from nearfar.data.readers import structure
from nearfar.data.readers.parquet import open_parquet
from nearfar.data.readers.raw import Raw, joined
from nearfar.data.readers.saved import of_datasets

BUILDERS = ("parquet", "csv", "json", "arrow", "imagefolder")


def open_hub(name: str, *, stream: bool = False) -> Raw:
    """The data set called ``owner/name``, or ``owner/name:configuration``.

    Parameters
    ----------
    name : str
    stream : bool
        Leave the files where they are, and read the parts of them that are needed over the network: labels at once,
        pictures row group by row group. Only sets in Parquet can be read so, which most are; others are downloaded.

    Raises
    ------
    DataError
        The extra is not installed, the hub cannot be reached, or the set would need code to be run.
    """
    try:
        import datasets
    except ImportError as e:
        raise DataError(
            f"{name!r} is no file or folder here; to read it from the hub install the extra.",
            hint="pip install 'nearfar[hub]'",
        ) from e
    owner, _, configuration = name.removeprefix("hf:").partition(":")
    try:
        builder = datasets.load_dataset_builder(owner, configuration or None)
        kind = builder.__module__.rpartition(".")[2]
        if kind not in BUILDERS:
            raise DataError(
                f"the data set needs the builder {kind!r}, which is not used here because it can run code.", where=name,
                hint=f"Only {', '.join(BUILDERS)} are.",
            )  # fmt: skip
        if stream and kind == "parquet":
            return _remote(builder)
        builder.download_and_prepare()
        raw = _downloaded(builder, owner)
        if stream:
            raw.notes = (f"Downloaded whole: only Parquet is read from the hub as needed, this set is {kind}.",)
        return raw
    except DataError:
        raise
    except Exception as e:  # the library raises many kinds; the person needs one sentence
        raise DataError(
            f"cannot be read from the hub ({type(e).__name__}: {str(e).partition(chr(10))[0]}).",
            where=name,
            hint="Is the name right, and is there a network? HF_HUB_OFFLINE=1 uses only what is cached.",
        ) from e  # fmt: skip


def _downloaded(builder: Any, name: str) -> Raw:
    """Arrow files in the library's own cache, memory-mapped."""
    loaded = builder.as_dataset()
    files = {Path(f["filename"]) for part in loaded.values() for f in part.cache_files}
    return of_datasets(loaded, name, tuple(sorted(files)))


def _remote(builder: Any) -> Raw:
    """The Parquet files at their addresses, which name a revision and so never change."""
    from fsspec.core import url_to_fs

    parts, splits = [], structure.of_mapping([str(s) for s in builder.config.data_files])
    for split, addresses in builder.config.data_files.items():
        for address in addresses:
            fs, path = url_to_fs(address)
            raw = open_parquet(partial(fs.open, path, "rb"), Path(path).name, Path())
            raw.key = f"{address} {fs.size(path)}"
            parts.append((splits[str(split)], raw))
    return joined(parts)
