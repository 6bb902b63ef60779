"""docs/align.md, whose figures are those of the JSON that benchmarks/align.py left.

    python benchmarks/pages_align.py

A test asserts that the page says what the JSON says.
"""

from __future__ import annotations

import json
from typing import Any

import tables

HEAD = ["", "left out", "way", "strict precision", "strict recall", "strict F1", "lax precision", "lax recall",
        "lax F1"]  # fmt: skip
WAYS = {"auto": "the default", "20%": "`--skip 20%`"}


def over(figure: dict[str, Any]) -> str:
    """Mean ± standard deviation over the seeds."""
    return f"{figure['mean']:.3f}" + (f" ± {figure['sd']:.3f}" if figure["sd"] is not None else "")


def named(way: str) -> str:
    """The way as one would type it."""
    what, _, skip = way.partition(", skip ")
    if not skip:
        return "lengths alone"
    return f"{WAYS[skip]}, `--encode`" if what.startswith("joined") else WAYS[skip]


def figures(d: dict[str, Any]) -> str:
    """One line a way."""
    body = []
    for condition, of in d["conditions"].items():
        for way, r in of["results"].items():
            numbers = [over(r[kind][f]) for kind in ("strict", "lax") for f in ("precision", "recall", "f1")]
            body.append([condition, f"{of['left_out']:.0%}", named(way), *numbers])
    return tables.rows(HEAD, body)


def reading(d: dict[str, Any]) -> str:
    """What the table shows, in words that follow its figures."""
    lines = []
    for condition, of in d["conditions"].items():
        best = {
            kind: max(of["results"], key=lambda w, k=kind, r=of["results"]: r[w][k]["f1"]["mean"])
            for kind in ("strict", "lax")
        }
        lines.append(f"{condition}, best strict F1: {named(best['strict'])}; best lax F1: {named(best['lax'])}")
    return ". ".join(line[0].upper() + line[1:] for line in lines) + "."


def page() -> str:
    d = json.loads((tables.ROOT / "align.json").read_text(encoding="utf-8"))
    swapped = max(of["swapped"] for of in d["conditions"].values())
    return PAGE.format(
        sentences=d["sentences"], merged=d["merged"], swapped=swapped, seeds=len(d["seeds"]), table=figures(d),
        reading=reading(d), command=d["command"],
    )  # fmt: skip


PAGE = """\
# Two sequences, aligned

```console
$ nearfar align book.en.txt book.de.txt --run runs/en-de --columns en de --out pairs.tsv
$ nearfar align storyboard/ scenes/ --run runs/photos
```

Finds which rows of the first belong to which of the second where both tell the same in the same order: a text and its
translation, a book and its film. Rows are joined one to one, one to several or several to one (`--most`), or skipped;
nothing crosses. What stands in another order on the two sides is skipped or joined with its neighbours.

A text file has one row a line; blank lines are passed over, and counted. Of a table the model's column is read; folders of
pictures, `.npy` and whatever else the model takes will do. `pairs.tsv` has the rows of both sides (counted from 1), a score,
and what they say or are called; `--json` prints the same numbers. `--columns` says which of the model's columns A and B are.
In Python, with vectors from anywhere: `nearfar.vectors.sequences.align(left, right)`, rows counted from 0; `evaluate(found, truth)`
counts precision and recall, strict and lax, as Vecalign does.

**Cost and score.** The cost of joining a rows with b is a · b · (1 − cosine), divided by the mean of what 1 − cosine is between
each of the two and the other side's segments. So 1 is a pair as good as any, in dense passages and in odd ones alike, and the
product keeps a long join from being cheaper than the pairs in it. The unit vectors of joined rows are added; with
`--encode` their texts are encoded as one. (On the validation rows of multi30k adding was the better by strict F1 in each of
the conditions below.) The score is 1 − cost / (a · b): 1 equal, 0 no nearer than chance; 0 for what is skipped.

**Skips.** `--skip` is the cost of leaving out one row. With 0.5, the default, two rows are rather left alone than paired at
random. More joins more, which is right where nearly every row has a counterpart; less skips more. `--skip 20%` is the 20th
percentile of the costs of random pairs, Vecalign's default. In a space where unrelated rows are at nearly right angles it is
close to 1, so that a row without a counterpart is joined to a neighbour instead: good where little is missing, bad where much is.

**Size.** Up to 3,000 × 3,000 rows the cheapest of all alignments is found. Beyond, both sides are halved (neighbours added)
until they are that small, and each finer level is searched within 100 rows of the path before: 20,000 × 20,000 rows of 512
dimensions take well under a minute on one core, and less than 1 GiB. What a coarse level misses by more than the band stays missed.

## Measured

{sentences:,} captions of multi30k in English and German, with the model that `nearfar train train.csv --pair en de` made of the
29,000 training pairs ([pairs](results/pairs.md)). Each side on its own has neighbours merged at {merged:.0%} of the places and a
share of its rows left out; "swapped" also has neighbouring rows of the right exchanged at {swapped:.0%} of the places, which no
alignment in order can follow. Strict: a match counts if it is exactly one of the true ones; lax: if it has a pair of rows in
common with one. Mean ± standard deviation over {seeds} seeds of what is merged, left out and swapped. Beside it stands alignment
by lengths alone (Gale and Church).

{table}

{reading}

```console
$ nearfar train train.csv --pair en de --epochs 4 --batch-size 512 --set data.holdout=0 --out runs/en-de
$ {command}
```

**Sources.** Cost, percentile, coarse to fine, counting: Thompson and Koehn 2019, *Vecalign*,
[D19-1136](https://aclanthology.org/D19-1136/); there n + m ≤ 4, here 1 – n and n – 1; there the mean distance is taken over
a sample, here over all. Coarse to fine: Salvador and Chan 2007, *FastDTW*. Lengths: Gale and Church 1993,
[J93-1004](https://aclanthology.org/J93-1004/).
"""


def main() -> None:
    (tables.ROOT.parent / "align.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
