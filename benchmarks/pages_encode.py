"""What the speed page says of encoding texts, out of the JSON that benchmarks/encode.py left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

THREADS = ("1 thread", "2 threads")


def speed_rows(d: dict[str, Any]) -> list[list[str]]:
    """(claim, ratio, asked, figures), by processor time; by the clock in the table of `section`."""
    found = []
    for threads in THREADS:
        of = d[threads]["processor"]
        for name, ratio in of["ratios"].items():
            if name.count(",") == 1:
                claim = f"sentences per second, {name.split(', ')[1]} dimensions, {threads} / StaticEmbedding"
                by = f"by block {ratio['least']:.2f} … {ratio['most']:.2f}"
                found.append([claim, f"{ratio['median']:.2f}", "≥ 1", by])
    return found


def section(d: dict[str, Any], rows: Callable[[list[str], list[list[str]]], str]) -> str:
    """A table of sentences per second."""
    names = list(d[THREADS[0]]["wall"]["per_second"])
    body = [
        [n, *(f"{d[t][clock]['per_second'][n]:,.0f}" for t in THREADS for clock in ("wall", "processor"))]
        for n in names
    ]
    head = ["sentences per second", *(f"{t}, {clock}" for t in THREADS for clock in ("clock", "processor time"))]
    loads = " and ".join(f"{d[t]['load']:.1f}" for t in THREADS)
    return f"""## From strings to vectors

{d[THREADS[0]]["sentences"]:,} sentences of multi30k and SST-2, from a list of strings to unit vectors; sentence-transformers
{d["sentence_transformers"]}, scikit-learn {d["scikit_learn"]}, tokenizers {d["tokenizers"]}. Medians of {len(d[THREADS[0]]["wall"]["seconds"][names[0]])} blocks
that take turns. The machine did other work (load average {loads} on 2 cores), which the clock shows and processor time does
not; asked was 20,000 a second on 2 cores. The numbers are dimensions; TF-IDF's vectors are sparse. "new words" begins with no
word remembered; "byte pairs" is `static` with `--tokens bpe:8000`.

{rows(head, body)}
"""
