"""What the names of files and folders say: which split a file is of, and which class."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from nearfar.core.names import printable

SPLITS = {
    "train": "train", "training": "train", "trainset": "train", "trainval": "train",
    "val": "validation", "valid": "validation", "validation": "validation", "dev": "validation",
    "valset": "validation", "devset": "validation",
    "test": "test", "testing": "test", "testset": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
BESIDE = {"set", "split", "data", "part", "shard", "chunk", "file", "of", "copy", "v"}  # say which piece of a split
CLASSES = {"train", "valid"}  # are also what a picture may show, or be: bus, car, train; valid, invalid
# Folders whose names are no class.
CONTAINERS = {"images", "image", "imgs", "img", "pictures", "photos", "data", "audio", "sounds", "wavs", "clips"}
SHOWN = 5  # names in a sentence

Place = tuple[str, ...]


# --- one name, or several beside each other -----------------------------------------------------------------------


def _words(name: str) -> list[str]:
    """Its words and numbers in lower case, without the hash that ends the names of some shards."""
    name = re.sub(r"[-_.](?=[0-9a-f]*\d)[0-9a-f]{8,}$", "", name)
    words = re.findall(r"[^\W\d_]+|\d+", name)
    parts = [[w] if w.lower() in SPLITS else re.split(r"(?<=[a-z])(?=[A-Z])", w) for w in words]
    return [w.lower() for part in parts for w in part]


def split_of(name: str) -> str | None:
    """The split that a name without its ending says by itself: ``test``, ``Train_2``, ``train-00000-of-00002`` …

    One word of a split, beside which only numbers and words of `BESIDE` stand; ``train_timetable`` is none.
    """
    words = _words(name)
    meant = [w for w in words if w in SPLITS]
    alone = len(meant) == 1 and all(w.isdigit() or w in BESIDE or w in SPLITS for w in words)
    return SPLITS[meant[0]] if alone else None


def splits_of(names: Iterable[str]) -> dict[str, str]:
    """The splits of names that lie beside each other, by name.

    Those that say it by themselves (`split_of`). Where none does, those that differ by the word of a split alone, such
    as ``mnist_train`` and ``mnist_test``, or ``mnist`` and ``mnist_test``.
    """
    names = set(names)
    if splits := {n: s for n in names if (s := split_of(n))}:
        return splits
    rests: dict[Place, dict[str, str]] = defaultdict(dict)
    plain: dict[Place, list[str]] = defaultdict(list)
    for name in names:
        words = _words(name)
        at = [i for i, w in enumerate(words) if w in SPLITS]
        if len(at) == 1:
            rest = (*words[: at[0]], *(w for w in words[at[0] + 1 :] if not w.isdigit() and w not in BESIDE))
            rests[rest][name] = SPLITS[words[at[0]]]
        elif not at:
            plain[tuple(words)].append(name)
    for rest, own in rests.items():
        if "train" not in own.values():
            own |= dict.fromkeys(plain[rest], "train")
        if len(set(own.values())) > 1:
            splits |= own
    return splits


def of_mapping(names: Collection[str]) -> dict[str, str | None]:
    """The splits of parts that somebody has given names, by name: one that is no usual name stays as it is.

    None for all where no name has the word of a split.
    """
    splits = splits_of(names)
    return {n: splits.get(n, n) for n in names} if splits or doubts(names) else dict.fromkeys(names)


def parted(name: str) -> tuple[str | None, str]:
    """Split and rest of the name of an array: ``x_train`` and ``train_x`` are ``x`` of the split train."""
    words = "|".join(sorted(SPLITS, key=len, reverse=True))
    match = re.fullmatch(rf"(?:(.+)[-_. ])?({words})(?:[-_. ](.+))?", name, re.IGNORECASE)
    if match is None or (match[1] and match[3]):
        return None, name
    return SPLITS[match[2].lower()], match[1] or match[3] or "x"


def doubts(names: Iterable[str], *, several: bool = True) -> set[str]:
    """Names that were not taken for splits, though they may be meant so.

    Those of a split by itself; and those with the word of one among others, `several`: only where such words are of
    several splits.
    """
    names = set(names)
    words = {n: meant for n in names if (meant := {SPLITS[w] for w in _words(n) if w in SPLITS})}
    enough = not several or len(set().union(*words.values())) > 1
    return {n for n in names if split_of(n)} | (set(words) if enough else set())


def listed(items: Sequence[str]) -> str:
    """The first of several, with commas, and how many more there are."""
    more = f" and {len(items) - SHOWN:,} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more


def shared(places: Iterable[Place]) -> int:
    """How many outer folders all places have in common."""
    places = set(places)
    first, last = min(places, default=()), max(places, default=())
    return next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))


# --- many files in folders ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Splits:
    """At which depth of their places files have splits, and which names there mean which, by the folder around."""

    depth: int
    names: dict[Place, dict[str, str]]

    def of(self, place: Place) -> str | None:
        """The split of a file; None for one that lies outside."""
        around = self.names.get(place[: self.depth], {})
        return around.get(place[self.depth]) if len(place) > self.depth else None


def find(places: Collection[Place], *, classes: bool = False) -> Splits | None:
    """Where the splits of files are; None where they have none.

    Looked for are the folders at the top, or inside those that all files are in, and one level below, since there may
    be ``cat/train`` and ``cat/test``. The first level with several splits counts, else the first with one. A place is
    what may be named after a split: a file's folders, and its own name without ending unless it is a picture. With
    `classes`, folders may be classes, so that ``train`` beside ``bus`` and ``car`` is one.
    """
    counts = Counter(places)
    levels = [at for d in range(shared(counts) + 2) if (at := _level(counts, d, classes))]
    several = [at for at in levels if len({s for own in at.names.values() for s in own.values()}) > 1]
    return next(iter(several or levels), None)


def _level(places: Counter[Place], depth: int, classes: bool) -> Splits | None:
    """The splits at one depth: several in one folder, or one in all folders."""
    inside: dict[Place, dict[str, bool]] = defaultdict(dict)  # of each name, whether it holds folders itself
    for place in places:
        if len(place) > depth:
            deeper = inside[place[:depth]].get(place[depth], False)
            inside[place[:depth]][place[depth]] = deeper or len(place) > depth + 1
    names = {}
    for around, children in inside.items():
        own = splits_of(children)
        others = {children[n] for n in children if n not in own}
        if classes and others and {n.lower() for n in own} <= CLASSES and len(own) == 1:
            # A class "train" beside others looks like them; a split alone has folders inside.
            own = own if True in {children[n] for n in own} - others else {}
        if own:
            names[around] = own
    sure = any(len(set(own.values())) > 1 for own in names.values())
    everywhere = {p[:depth] for p in places if len(p) >= depth} <= set(names)
    return Splits(depth, names) if names and (sure or everywhere) else None


@dataclass(frozen=True)
class Placed:
    """What the places of files say: which are read; their splits and labels, None where nothing says them."""

    kept: list[int]
    splits: list[str] | None
    labels: list[str | None] | None
    warnings: tuple[str, ...]


def of_folders(places: Sequence[Place], kind: str = "pictures") -> Placed:
    """Splits and labels of files, called `kind` in warnings, by the folders around them."""
    level = find(places, classes=True)
    if level is None:
        labels = [printable("/".join(p)) or None for p in places]
        return Placed(list(range(len(places))), None, labels if any(labels) else None, _doubts(places, kind))
    splits = [level.of(p) for p in places]
    kept = [i for i, s in enumerate(splits) if s]
    classes = _classes([places[i] for i in kept], level.depth)
    labels = [printable("/".join(c)) or None for c in classes]
    warnings: tuple[str, ...] = ()
    if left := Counter(places[i][: level.depth + 1] for i, s in enumerate(splits) if not s):
        items = [
            f"in {printable('/'.join(at))}/ ({n:,})" if at else f"beside the folders ({n:,})"
            for at, n in left.most_common()
        ]
        read = sorted({f"{printable(places[i][level.depth])}/" for i in kept})
        warnings = (f"Left out: {kind} {listed(items)}; only the folders named after splits are read, {listed(read)}.",)
    return Placed(kept, [s for s in splits if s], labels if any(labels) else None, warnings)


def _classes(places: Sequence[Place], depth: int) -> list[Place]:
    """The folders around files that say what they show, without those that are around all of them.

    What is the only one in its folder and named `CONTAINERS` or as a split again, is no class: ``train/images``,
    ``val/cat/images``, ``test/test``.
    """
    inside: dict[Place, set[str | None]] = defaultdict(set)
    for place in set(places):
        for i in range(len(place) + 1):
            inside[place[:i]].add(place[i] if i < len(place) else None)
    outer = shared(p[:depth] for p in places)

    def says(place: Place, i: int) -> bool:
        empty = place[i].lower() in CONTAINERS or split_of(place[i]) is not None
        return i >= outer and i != depth and not (empty and len(inside[place[:i]]) == 1)

    classes = {p: tuple(n for i, n in enumerate(p) if says(p, i)) for p in set(places)}
    return [classes[p] for p in places]


def _doubts(places: Sequence[Place], kind: str) -> tuple[str, ...]:
    """A warning where folders that might be splits were taken for classes."""
    doubtful = doubts({n for p in set(places) for n in p})
    counts = Counter(p for p in places if doubtful & set(p))
    if not counts:
        return ()
    said = sorted({printable("/".join(p[: 1 + next(i for i, n in enumerate(p) if n in doubtful)])) for p in counts})
    return (
        f"Classes, not splits: {listed([f'{n}/' for n in said])} ({counts.total():,} {kind}), because of the folders "
        "beside. If these are splits, name all folders after splits, or give one of them.",
    )
