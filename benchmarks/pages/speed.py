"""What docs/results/speed.md shows: ratios with the peer in the same run."""

from __future__ import annotations

from functools import cache
from typing import Any

from tables import commands as typed
from tables import read, rows

THREADS = ("1 thread", "2 threads")


@cache
def found() -> dict[str, dict[str, Any]]:
    return read("speed")


def claims() -> str:
    """One line a claim."""
    body = []
    if d := found().get("step"):
        body.append(["whole step / bare forward and backward of the same views", f"{d['ratio']:.3f}", "≤ 1.08",
                     f"{d['ours_seconds'] * 1000:.0f} ms / {d['peer_seconds'] * 1000:.0f} ms; by block "
                     f"{d['ratio_by_block'][0]:.3f} … {d['ratio_by_block'][2]:.3f}"])  # fmt: skip
    if d := found().get("lightly"):
        rates = ", ".join(f"{k}: {v:.0f}" for k, v in d["images_per_second"].items())
        body.append([f"images per second / lightly {d['lightly']}, each at its defaults",
                     f"{d['ratio_defaults']:.2f}", "≥ 2.5", rates])  # fmt: skip
        body.append(["the same, both in fp32", f"{d['ratio_fp32']:.2f}", "reported", ""])
    if d := found().get("views"):
        for side, asked in (("32", "≥ 10"), ("96", "≥ 3"), ("224", "≥ 3")):
            ratio = d["sizes"][side]["ratio"]
            body.append([f"views of {side} × {side} pictures per second and core / torchvision per image",
                         f"{ratio['torchvision per image']['ratio']:.1f}", asked,
                         f"best batched peer: {ratio['best batched peer']['ratio']:.1f}; see [views](views.md)"])  # fmt: skip
    if d := found().get("kept"):
        body.append(["a step over a table of 65,536 words: freed memory given back / kept (glibc)", f"{d['ratio']:.2f}", "–",
                     f"{d['seconds']['returned'] * 1000:.0f} ms / {d['seconds']['kept'] * 1000:.0f} ms; by block "
                     f"{d['ratio_by_block'][0]:.2f} … {d['ratio_by_block'][1]:.2f}"])  # fmt: skip
    if d := found().get("static_step"):
        for name, (low, middle, high) in d["ratio"].items():
            body.append([f"texts per second of a training step of the default encoder / {name}", f"{middle:.2f}", "≥ 1",
                         f"{d['rows_per_second']['nearfar']:,.0f} / {d['rows_per_second'][name]:,.0f}; by block "
                         f"{low:.2f} … {high:.2f}"])  # fmt: skip
    return rows(["claim", "ratio", "asked", "figures"], [*body, *of_losses(), *of_encoding()])


def of_losses() -> list[list[str]]:
    """(claim, ratio, asked, figures) of benchmarks/objectives.py."""
    measured, lines = found()["objectives"], []
    asked = {"nt_xent": "≤ 0.35 of the time, ≤ 0.06 of the memory"}
    for case, entry in measured["cases"].items():
        shown = []
        for name, f in entry["contestants"].items():
            version = measured["versions"].get(name) or measured["versions"].get(f"{name}_torch")
            label = f"{name} {version}" if version else name
            if "seconds" in f:
                shown.append(f"{label}: {f['seconds']:.2f} s, {f['MiB']:,.0f} MiB")
            elif "failed" in f:
                shown.append(f"{label}: {'out of memory' if 'memory' in f['failed'] else 'failed'}")
        ratio = (
            f"{entry['time / plain']:.2f} of the time, {entry['memory / plain']:.3f} of the memory"
            if "time / plain" in entry
            else "runs"
        )
        claim = f"{case}, {entry['rows']:,} × {entry['dimensions']}: ours / the plain form"
        lines.append(
            [
                claim,
                ratio,
                asked.get(
                    case, "≤ 1 of the time, memory linear" if "plain" in entry["contestants"] else "runs in 24 GiB"
                ),
                "; ".join(shown),
            ]
        )
    return lines


def of_encoding() -> list[list[str]]:
    """The same of benchmarks/encode.py, by processor time; by the clock in `encoding`."""
    d, lines = found()["encode"], []
    for threads in THREADS:
        of = d[threads]["processor"]
        for name, ratio in of["ratios"].items():
            if name.count(",") == 1:
                claim = f"sentences per second, {name.split(', ')[1]} dimensions, {threads} / StaticEmbedding"
                by = f"by block {ratio['least']:.2f} … {ratio['most']:.2f}"
                lines.append([claim, f"{ratio['median']:.2f}", "≥ 1", by])
    return lines


def encoding() -> str:
    """Sentences per second."""
    d = found()["encode"]
    names = list(d[THREADS[0]]["wall"]["per_second"])
    body = [
        [n, *(f"{d[t][clock]['per_second'][n]:,.0f}" for t in THREADS for clock in ("wall", "processor"))]
        for n in names
    ]
    return rows(["sentences per second", *(f"{t}, {c}" for t in THREADS for c in ("clock", "processor time"))], body)


def encoding_blocks() -> str:
    seconds = found()["encode"][THREADS[0]]["wall"]["seconds"]
    return str(len(next(iter(seconds.values()))))


def encoding_loads() -> str:
    return " and ".join(f"{found()['encode'][t]['load']:.1f}" for t in THREADS)


def sizes() -> str:
    """How long texts take by their number."""
    body = [
        [f"{s['rows']:,}", f"{s['cpu_seconds']:.0f}", f"{s['ms_per_row']:.2f}", f"{s['epochs']} of at most {s['at_most']}",
         f"{s['kept']:,} of {s['steps']:,}"] for s in found()["text_size"]["sizes"]
    ]  # fmt: skip
    return rows(["texts", "seconds", "ms a text", "epochs", "best state after steps"], body)


def commands() -> str:
    return typed(found())
