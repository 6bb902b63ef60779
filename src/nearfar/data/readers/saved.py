"""A data set that Hugging Face's `datasets` saved to disk."""

from __future__ import annotations

from pathlib import Path

from nearfar.core.errors import DataError
from nearfar.data.readers import structure
from nearfar.data.readers.raw import Raw, joined, of_arrow

RANK = 0  # readers are asked in this order


def recognises(path: Path) -> bool:
    """A folder that ``save_to_disk`` wrote."""
    return path.is_dir() and ((path / "dataset_dict.json").exists() or (path / "state.json").exists())


def open(path: Path) -> Raw:
    """All splits. Only Arrow files are read; nothing of the folder is run."""
    try:
        import datasets
    except ImportError as e:
        raise DataError(
            "reading a saved data set needs the extra.", where=str(path), hint="pip install 'nearfar[hub]'"
        ) from e
    try:
        loaded = datasets.load_from_disk(str(path))
    except (OSError, ValueError, KeyError) as e:
        raise DataError(f"cannot be read as a saved data set ({e}).", where=str(path)) from e
    return of_datasets(loaded, path.name, tuple(sorted(path.rglob("*.arrow"))))


def of_datasets(loaded, name: str, files: tuple[Path, ...] = ()) -> Raw:  # noqa: ANN001 - a Dataset or DatasetDict
    """A `Raw` of a `datasets` object, read as plain Arrow without its decoders."""
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
