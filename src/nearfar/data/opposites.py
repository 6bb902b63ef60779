"""Two labels of which one says yes: which of them, by their names and never by their order."""

from __future__ import annotations

import re
from collections.abc import Sequence

# (no, yes), as people write them
WORDS = {
    ("0", "1"), ("-1", "1"), ("-", "+"), ("no", "yes"), ("n", "y"), ("false", "true"), ("f", "t"),
    ("negative", "positive"), ("neg", "pos"), ("different", "same"), ("distinct", "same"), ("different", "equal"),
    ("different", "similar"), ("different", "identical"), ("different", "duplicate"), ("distinct", "duplicate"),
    ("wrong", "right"), ("wrong", "correct"), ("incorrect", "correct"), ("invalid", "valid"),
    ("inequivalent", "equivalent"), ("irrelevant", "relevant"), ("off", "on"), ("fail", "pass"), ("bad", "good"),
    ("contradiction", "entailment"), ("nein", "ja"), ("falsch", "richtig"), ("falsch", "wahr"),
    ("verschieden", "gleich"), ("non", "oui"),
    ("normal", "anomaly"), ("normal", "anomalous"), ("normal", "abnormal"), ("normal", "outlier"), ("normal", "fault"),
}  # fmt: skip
APART = r"(?:not|no|non|nicht|kein|keine) (?:an? |the )?"  # not_X, non-X, "not a X"
JOINED = r"(?:no|non|not|un|im|ir|mis|dis)"  # nomatch, unrelated, mismatch, dissimilar
LEAST = 4  # letters that such a syllable stands before: "til" is not the opposite of "until"
LONGER = 5  # letters after "in": "side" is not the opposite of "inside"

BARE = {"1", "+", "yes", "y", "true", "t", "ja", "richtig", "wahr", "oui"}
RELATION = re.compile(
    r"match|same|similar|alike|relat|equal|equivalen|identical|duplicat|paraphras|entail|belong|synonym|gleich"
)


def positive(names: Sequence[str]) -> int | None:
    """Position of the label that says yes among two that are known to be opposites; None where they are not."""
    if len(names) != 2:
        return None
    first, second = map(plain, names)
    if _denies(first, second):
        return 1
    return 0 if _denies(second, first) else None


def judges(names: Sequence[str], alike: bool) -> bool:
    """Whether two labels say of a pair that its sides belong together or do not, and not what a row shows.

    Words such as match and unrelated do; a bare yes or 1 does where both sides are `alike`, of one modality.
    """
    yes = positive(names)
    if yes is None:
        return False
    said = plain(names[yes])
    return RELATION.search(said) is not None or (alike and said in BARE)


def plain(name: str) -> str:
    """Lower case, words apart by one space, whole numbers as such."""
    try:
        return f"{float(name):g}"
    except ValueError:
        return " ".join(re.sub(r"[\s_.\-]+", " ", name).split()).casefold() or name.strip()


def _denies(a: str, b: str) -> bool:
    """Whether `a` says no to what `b` says."""
    if (a, b) in WORDS:
        return True
    bare = b.removeprefix("is ").removeprefix("a ")
    said = re.escape(bare)
    forms = [f"(?:is )?{APART}{said}"]
    forms += [f"{JOINED} ?{said}"] if len(bare) >= LEAST else []
    forms += [f"in{said}"] if len(bare) >= LONGER else []
    return any(re.fullmatch(form, a) for form in forms)
