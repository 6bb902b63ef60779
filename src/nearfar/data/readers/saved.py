"""Data sets of Hugging Face's `datasets`: saved to disk, or by name from the hub. Nothing of them is run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from nearfar.core.errors import DataError, library
from nearfar.data.readers import structure
from nearfar.data.readers.parquet import open_parquet
from nearfar.data.readers.raw import Raw, joined, of_arrow

RANK = 0  # readers are asked in this order
BUILDERS = ("parquet", "csv", "json", "arrow", "imagefolder")  # plain formats, which run no code


def recognises(path: Path) -> bool:
    """A folder that ``save_to_disk`` wrote."""
    return path.is_dir() and ((path / "dataset_dict.json").exists() or (path / "state.json").exists())


def open(path: Path) -> Raw:
    """All splits. Only Arrow files are read."""
    datasets = library("datasets", "hub", str(path))
    try:
        loaded = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError) as e:
        raise DataError(f"cannot be read as a saved data set ({e}).", where=str(path)) from e
    return of_datasets(loaded, path.name, tuple(sorted(path.rglob("*.arrow"))))


def of_datasets(loaded: Any, name: str, files: tuple[Path, ...] = ()) -> Raw:
    """A `Raw` of a Dataset or DatasetDict, read as plain Arrow without its decoders."""
    parts, named = [], dict(loaded.items()) if hasattr(loaded, "keys") else {"": loaded}
    splits = structure.of_mapping(named)
    for split, part in named.items():
        table = part.with_format(None).data.table
        if part._indices is not None:
            table = part.flatten_indices().data.table
        raw = of_arrow(table, f"{name}/{split}" if split else name, Path(), files)
        raw.classes = {k: list(f.names) for k, f in part.features.items() if hasattr(f, "names") and f.names}
        if (part.format or {}).get("type") == "custom":
            raw.warnings += ("The transform that the data set is given by with_transform is not applied.",)
        parts.append((splits[split], raw))
    return joined(parts)


def open_hub(name: str, *, stream: bool = False) -> Raw:
    """The data set called ``owner/name``, or ``owner/name:configuration``.

    With `stream`, files stay where they are, and the parts of them that are needed are read over the network: labels at
    once, pictures row group by row group. Only sets in Parquet can be read so, which most are; others are downloaded.
    """
    missing = f"{name!r} is no file or folder here; to read it from the hub install the extra."
    datasets = library("datasets", "hub", why=missing)
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
        loaded = builder.as_dataset()  # Arrow files in the library's own cache, memory-mapped
        files = {Path(f["filename"]) for part in loaded.values() for f in part.cache_files}
        raw = of_datasets(loaded, owner, tuple(sorted(files)))
        if stream:
            raw.notes = (f"Downloaded whole: only Parquet is read from the hub as needed, this set is {kind}.",)
        return raw
    except DataError:
        raise
    except Exception as e:  # the library raises many kinds; the person needs one sentence
        raise DataError(
            f"cannot be read from the hub ({type(e).__name__}: {str(e).partition(chr(10))[0]}).", where=name,
            hint="Is the name right, and is there a network? HF_HUB_OFFLINE=1 uses only what is cached.",
        ) from e  # fmt: skip


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
