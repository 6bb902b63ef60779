"""WebDataset: plain tar archives whose members ``key.jpg``, ``key.cls``, ``key.json`` … are one row.

Each archive's headers are read once; members are then read by their place in it. Nothing is ever written to disk, links
and devices are not followed, and names serve as names only.
"""

from __future__ import annotations

import json
import tarfile
from collections import Counter, OrderedDict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any, BinaryIO, ClassVar

from nearfar.core.errors import BadCell, DataError, reason
from nearfar.data.readers import folders, structure
from nearfar.data.readers.raw import IMAGE_ENDINGS, Raw

RANK = 3  # readers are asked in this order
ENDINGS = (".tar",)
COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
PICTURES = tuple(e[1:] for e in IMAGE_ENDINGS)
TEXTS = ("cls", "txt", "json")
TEXT_LIMIT, PICTURE_LIMIT = 2**20, 2**29  # bytes of one member
OPEN = 32  # archives that are open at once
WORD = 100  # characters of a text that may be the name of a class


def recognises(path: Path) -> bool:
    """A ``.tar``, or a folder of them."""
    return folders.recognised(path, ENDINGS) or (path.is_file() and path.name.lower().endswith(COMPRESSED))


def open(path: Path) -> Raw:
    """The rows in the order of the archives and of their members."""
    return folders.opened(path, ENDINGS, _opened)


def _opened(path: Path, name: str) -> Raw:
    if path.suffix.lower() != ".tar":
        raise DataError(
            "is compressed, so its members cannot be read one by one.", where=str(path),
            hint="Unpack it to a plain .tar, for example with gunzip; pictures are compressed already.",
        )  # fmt: skip
    rows, others, end = _index(path)
    keys = list(rows)
    placed = structure.of_folders([PurePosixPath(k).parts[:-1] for k in keys], f"rows of {name}")
    keys, splits, labels = [keys[i] for i in placed.kept], placed.splits, placed.labels
    cells = Members(path, [rows[k].get("picture", "has no picture") for k in keys])
    columns: dict[str, Any] = {"image": cells} | _texts(path, [rows[k] for k in keys])
    if labels and "label" not in columns:
        columns["label"] = labels
    label = "label" if "label" in columns else None
    if label is None and (texts := [t for t in columns.get("txt", ()) if t]):
        # txt is the label where it repeats, as names of classes do and captions do not.
        few = len(set(texts)) <= max(2, len(texts) // 4)
        label = "txt" if few and all(len(t) <= WORD and "\n" not in t for t in texts) else None
    names = [f"{name}:{k}" for k in keys]
    if end:  # a row of its own, so that it is counted and named as skipped
        cells.places.append(end)
        names.append(f"{name}:(the rest)")
        columns = {k: v if k == "image" else [*v, None] for k, v in columns.items()}
        splits = [*splits, splits[-1]] if splits else None
    notes = [f"Passed over: {n:,} members of {name} that end in .{e}." for e, n in others.most_common(3)]
    return Raw(columns, names, splits, label, files=(path,), notes=tuple(notes), warnings=placed.warnings)


def _index(path: Path) -> tuple[dict[str, dict[str, Any]], Counter[str], str | None]:
    """(offset, size) of every member by row and ending, or why not; endings passed over; what is wrong with its end."""
    rows: dict[str, dict[str, Any]] = {}
    others: Counter[str] = Counter()
    size = path.stat().st_size
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members.clear()  # it would keep them all
                if member.size < 0:
                    raise ValueError("a member has a negative size")
                folder, _, file = member.name.rpartition("/")
                key, _, ending = file.partition(".")
                ending = ending.lower()
                if member.isdir() or file.startswith("."):
                    continue
                if ending not in (*PICTURES, *TEXTS):
                    others[ending] += 1
                    continue
                row = rows.setdefault(f"{folder}/{key}".lstrip("/"), {})
                row["picture" if ending in PICTURES else ending] = _place(member, size, ending)
            end = _end(path, tar.offset, size)
    except PermissionError:
        raise
    except Exception as e:  # whatever a damaged head makes of it
        if not rows:
            raise DataError(f"cannot be read as tar ({reason(e)}).", where=str(path)) from e
        end = f"is cut short or damaged ({reason(e)}); what comes after is lost"
    if not rows:
        raise DataError("holds no pictures.", where=str(path))
    return rows, others, end


def _place(member: tarfile.TarInfo, size: int, ending: str) -> tuple[int, int] | str:
    if not member.isreg() or member.issparse():
        return "is a link or no plain file, which is not followed"
    if member.size > (PICTURE_LIMIT if ending in PICTURES else TEXT_LIMIT):
        return f"says that it has {member.size / 2**20:,.0f} MiB, more than is opened"
    if member.offset_data + member.size > size:
        return "is cut short: the archive ends before it does"
    return member.offset_data, member.size


def _end(path: Path, at: int, size: int) -> str | None:
    """None where the archive ends as it should; Python's tarfile takes a damaged header for the end."""
    if at >= size:
        return None if at == size else "is cut short; what comes after is lost"
    with path.open("rb") as f:
        f.seek(at)
        return None if not any(f.read(512)) else "is damaged from here on; what comes after is lost"


class Members(Sequence):
    """Bytes of members of an archive by their (offset, size); a text in place of that is why there are none."""

    _open: ClassVar[OrderedDict[Path, BinaryIO]] = OrderedDict()  # of all archives, those used last
    _lock: ClassVar[Lock] = Lock()

    def __init__(self, path: Path, places: list[tuple[int, int] | str]) -> None:
        self.path, self.places = path, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> bytes:
        """Raises `BadCell` where there is none."""
        place = self.places[index]
        if isinstance(place, str):
            raise BadCell(place)
        offset, size = place
        try:
            with self._lock:
                if self.path not in self._open:
                    self._open[self.path] = self.path.open("rb")
                    if len(self._open) > OPEN:
                        self._open.popitem(last=False)[1].close()
                self._open.move_to_end(self.path)
                self._open[self.path].seek(offset)
                content = self._open[self.path].read(size)
        except OSError as e:
            raise BadCell(f"cannot be read ({e.strerror or e})") from e
        if len(content) < size:
            raise BadCell("is cut short: the archive ends before it does")
        return content


def _texts(path: Path, rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Columns of what stands beside the pictures: ``cls`` is the label, ``txt`` a text, ``json`` its scalar values."""
    columns: dict[str, list[Any]] = {}
    for i, row in enumerate(rows):
        texts = {}
        for ending in TEXTS:
            try:
                texts[ending] = Members(path, [row.get(ending, "is not there")])[0].decode("utf-8").strip()
            except (UnicodeDecodeError, BadCell):  # a label or text that cannot be read is a missing one
                texts[ending] = None
        try:
            values = json.loads(texts["json"] or "null")
        except (ValueError, RecursionError):
            values = None
        own = {name: texts[e] for e, name in (("cls", "label"), ("txt", "txt")) if texts[e] is not None}
        for name, value in values.items() if isinstance(values, dict) else ():
            scalar = isinstance(value, str | int | float) and name not in ("image", "txt")
            if scalar and not (name == "label" and "cls" in row):
                own[name] = value
        for name, value in own.items():
            if value is not None:
                columns.setdefault(name, [None] * len(rows))[i] = value
    return columns
