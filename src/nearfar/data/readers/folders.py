"""What lies in a folder, which of it a reader takes, and what is said of the rest."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from nearfar.core.errors import DataError
from nearfar.core.names import printable
from nearfar.core.registry import READERS
from nearfar.data.readers import structure
from nearfar.data.readers.raw import FILE_ENDINGS, IMAGE_ENDINGS, SOUND_ENDINGS, Chain, Raw, joined
from nearfar.data.readers.structure import Place

LINKS = 4  # links to folders on the way to a file; more are a maze
COUNTED = 256 * 2**20  # bytes of a file whose rows are counted though it is left out


@dataclass
class Listing:
    """All files below a folder but hidden ones, in alphabetical order of their paths; `odd` by why it was left out."""

    folder: Path
    files: list[Place] = field(default_factory=list)
    odd: dict[str, list[Place]] = field(default_factory=dict)

    def ending(self, endings: Sequence[str], *, plain: bool = False) -> list[Place]:
        """The files with one of the endings; `plain` ones only are neither pipes nor devices, and are there."""
        some = [p for p in self.files if p[-1].lower().endswith(tuple(endings))]
        return [p for p in some if self.path(p).is_file()] if plain else some

    def path(self, place: Place) -> Path:
        """Where a file is."""
        return self.folder.joinpath(*place)


@lru_cache(maxsize=1)  # every reader asks for it; emptied before and after a source is opened
def listing(folder: Path) -> Listing:
    """Go through a folder and all below; links are followed unless they lead back to a folder around them."""
    files = Listing(folder)
    waiting: list[tuple[Place, tuple[tuple[int, int], ...], int]] = [((), (), 0)]
    while waiting:
        place, around, links = waiting.pop()
        try:
            here = os.stat(files.path(place))
            own = (here.st_dev, here.st_ino)
            if own in around:
                continue
            if links > LINKS:
                files.odd.setdefault(f"behind more than {LINKS} links to folders", []).append(place)
                continue
            with os.scandir(files.path(place)) as entries:
                visible = [e for e in entries if not e.name.startswith(".")]
        except OSError as e:
            if not place:
                raise
            files.odd.setdefault(f"which cannot be opened ({e.strerror})", []).append(place)
            continue
        for entry in visible:
            if _is_folder(entry):
                waiting.append(((*place, entry.name), (*around, own), links + entry.is_symlink()))
            # A broken link may have been one to a folder; one with an ending is a file that is missing.
            elif entry.is_symlink() and "." not in entry.name and not os.path.exists(entry.path):
                files.odd.setdefault("links that lead nowhere", []).append((*place, entry.name))
            else:
                files.files.append((*place, entry.name))
    files.files.sort()
    return files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


# --- tables, texts and archives in folders ------------------------------------------------------------------------


def chosen(
    folder: Path, endings: Sequence[str], *, named: bool = False, over_pictures: bool = False
) -> list[tuple[str | None, Place]]:
    """The files of a folder that a reader takes, each with its split; none where the folder is not the reader's.

    Files in splits, wherever these are; else all that lie in the folder itself, or together in one below. Pictures and
    sounds in split folders, or in folders that may be classes, come first, unless the files are named after splits
    themselves.
    `named`: only files in splits are taken. `over_pictures`: files that are not named after splits come before pictures
    that have none either.
    """
    all_ = listing(folder)
    files = all_.ending(endings, plain=True)
    if not files:
        return []
    places = [_place(p) for p in files]
    direct = [i for i, p in enumerate(places) if len(p) == 1]
    if around := [p[:-1] for p in all_.ending(FILE_ENDINGS)]:
        first = structure.find(around, classes=True) or (any(around) and not over_pictures)
        if first and not structure.splits_of(places[i][0] for i in direct):
            return []
        files, places = [files[i] for i in direct], [places[i] for i in direct]
    if splits := structure.find(places):
        return [(split, p) for p, place in zip(files, places, strict=True) if (split := splits.of(place))]
    together = direct or len({p[:-1] for p in files}) == 1
    return [(None, p) for p in files if not direct or len(p) == 1] if together and not named else []


def _place(file: Place) -> Place:
    """What may be named after a split: the folders, and the file without its ending."""
    return (*file[:-1], Path(file[-1]).stem)


def recognised(path: Path, endings: Sequence[str], **which: bool) -> bool:
    """Whether it is a file with one of the endings, or a folder of which `chosen` takes some."""
    if path.is_file():
        return path.suffix.lower() in endings
    return path.is_dir() and bool(chosen(path, endings, **which))


def opened(path: Path, endings: Sequence[str], one: Callable[[Path, str], Raw], **which: bool) -> Raw:
    """A file, or the files of a folder that `chosen` takes as one, and what is said of the others.

    `one` opens a file; its second argument is what to call it.
    """
    if not path.is_dir():
        return one(path, path.name)
    files = chosen(path, endings, **which)
    return with_rest(joined([(split, one(path.joinpath(*p), "/".join(p))) for split, p in files]), path, endings)


def with_rest(raw: Raw, folder: Path, endings: Sequence[str]) -> Raw:
    """With what is said of the files of a folder that were not read, which are those that are not in `raw.files`.

    Others with the `endings` are counted in a warning, and so are those named after splits and pictures that nothing
    names; all other files are only noted.
    """
    all_, read, own = listing(folder), set(raw.files), tuple(endings)
    alone = all_.ending(FILE_ENDINGS)  # files that are a row each
    others = sorted(set(all_.files) - set(alone)) if alone else all_.files
    left = [p for p in others if all_.path(p) not in read]
    named = {p for p in left if structure.split_of(_place(p)[-1]) and all_.path(p).is_file()}
    counted = [p for p in left if p[-1].lower().endswith(own) or (p in named and reader(all_.path(p)))]
    items = [f"{printable('/'.join(p))} ({_rows(all_.path(p))})" for p in counted[: structure.SHOWN]]
    items += [f"{len(counted) - len(items):,} more files"] if len(counted) > len(items) else []
    if not any(map(names_files, raw.columns.values())):
        kinds = {"pictures": IMAGE_ENDINGS, "sounds": SOUND_ENDINGS}
        counts = {what: len(all_.ending(endings)) for what, endings in kinds.items() if own != endings}
        items += [f"{count:,} {what}" for what, count in counts.items() if count]
    for why, places in all_.odd.items():
        raw.warnings += (f"Left out: {structure.listed([printable('/'.join(p)) for p in places])}, {why}.",)
    if items:
        only = "; only what is named after a split is read" if raw.splits else ""
        raw.warnings += (f"Left out: {', '.join(items)}{only}.",)
    rest = Counter(Path(p[-1]).suffix.lower() or p[-1] for p in set(left) - set(counted))
    noted = [f"{n:,} {printable(e)}" for e, n in rest.most_common(structure.SHOWN)]
    raw.notes += (f"Files beside, not read: {', '.join(noted)}.",) if noted else ()
    if own not in (IMAGE_ENDINGS, SOUND_ENDINGS) and raw.splits is None:
        _say_doubts(raw, [p[-1] for p in all_.files if all_.path(p) in read])
    return raw


def names_files(cells: Any) -> bool:
    """Whether the cells of a column are paths of files."""
    if isinstance(cells, Chain):
        return any(map(names_files, cells.pieces))
    return getattr(cells, "folder", None) is not None


def _say_doubts(raw: Raw, files: list[str]) -> None:
    """What is said of files that were read as one set though names of theirs may mean splits: the more, the louder."""
    names = {Path(f).stem: f for f in files}
    several = structure.doubts(names)
    if doubtful := sorted(several or structure.doubts(names, several=False)) if len(names) > 1 else []:
        said = structure.listed([printable(names[n]) for n in doubtful])
        text = f"No splits: {said}, read as one set with what lies beside; files named train and test would be splits."
        raw.warnings += (text,) if several else ()
        raw.notes += () if several else (text,)


def of_files(path: Path, endings: Sequence[str], column: str) -> Raw:
    """All files below a folder with these endings as one column, in alphabetical order of their paths.

    Sub-folders are labels, or splits where they are named so (structure.py).
    """
    all_ = listing(path)
    files = all_.ending(endings)
    placed = structure.of_folders([p[:-1] for p in files])
    kept = [files[i] for i in placed.kept]
    paths = [all_.path(p) for p in kept]
    columns: dict[str, Any] = {column: paths} | ({"label": placed.labels} if placed.labels else {})
    label = "label" if placed.labels else None
    raw = Raw(columns, ["/".join(p) for p in kept], placed.splits, label, files=tuple(paths), warnings=placed.warnings)
    return with_rest(raw, path, endings)


def reader(path: Path) -> Any:
    """The first of the readers that recognises a file or folder, plug-ins first; None where none does."""
    all_, own = {r: READERS.get(r) for r in READERS}, READERS.plugged()
    ordered = sorted(all_.items(), key=lambda r: getattr(r[1], "RANK", -1 if r[0] in own else 5))
    return next((r for _, r in ordered if r.recognises(path)), None)


def _rows(file: Path) -> str:
    """How many rows a file has, or why that is not known."""
    try:
        if not file.is_file():
            return "no plain file"
        if file.stat().st_size > COUNTED:
            return f"{file.stat().st_size / 2**20:,.0f} MiB"
        return f"{len(reader(file).open(file)):,} rows"
    except (DataError, OSError):
        return "not readable"
