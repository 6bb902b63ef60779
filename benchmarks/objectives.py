"""Time and memory of the losses: ours, the plain form with all pairs in memory, and the peers' where installed.

    python benchmarks/objectives.py [--out docs/results/speed/objectives.json] [--only nt_xent supcon …]

Forward and backward of the same random embeddings (float32). Every contestant runs in fresh processes, which take
turns; a process first runs a small batch, then measures how far the peak of its memory rises in the first full call,
then takes the median time of the calls after it. The plain forms hold N × N numbers and are written as one would
write them from the papers; the bare products are the matrix products that no form can do without.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

from nearfar.objectives.barlow_twins import barlow_twins
from nearfar.objectives.info_nce import info_nce, info_nce_between
from nearfar.objectives.kernel.relation import Relation
from nearfar.objectives.sigmoid import sigmoid
from nearfar.objectives.supcon import supcon
from nearfar.objectives.triplet import triplet

TAU, CLASSES, SMALL = 0.2, 100, 64
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


# --- the plain forms: a, b (N, D) are two views or two columns, y (N,) the class of each row -----------------------


def plain_nt_xent(a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    z, n = F.normalize(torch.cat((a, b)), dim=1), len(a)
    s = (z @ z.T / TAU).masked_fill(torch.eye(2 * n, dtype=torch.bool), -torch.inf)
    return F.cross_entropy(s, (torch.arange(2 * n) + n) % (2 * n))


def plain_supcon(a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    z, g = F.normalize(torch.cat((a, b)), dim=1), y.repeat(2)
    own = torch.eye(len(z), dtype=torch.bool)
    s = (z @ z.T / TAU).masked_fill(own, -torch.inf)
    positive = (g[:, None] == g[None]) & ~own
    log = s - s.logsumexp(1, keepdim=True)
    return -(log.masked_fill(~positive, 0).sum(1) / positive.sum(1)).mean()


def plain_triplet(a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    x, g = torch.cat((a, b)), y.repeat(2)
    d, same = torch.cdist(x, x), g[:, None] == g[None]
    farthest = d.masked_fill(~same, -torch.inf).amax(1)
    nearest = d.masked_fill(same, torch.inf).amin(1)
    return F.relu(farthest - nearest + 0.2).mean()


def plain_clip(a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    s, target = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T / TAU, torch.arange(len(a))
    return (F.cross_entropy(s, target) + F.cross_entropy(s.T, target)) / 2


def plain_sigmoid(a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    s = F.normalize(a, dim=1) @ F.normalize(b, dim=1).T * 10 - 10
    return -F.logsigmoid(s * (2 * torch.eye(len(a)) - 1)).sum() / len(a)


def plain_barlow(a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    a, b = ((x - x.mean(0)) / x.std(0, unbiased=False) for x in (a, b))
    c = a.T @ b / len(a)
    on = (c.diagonal() - 1).square().sum()
    return on + 5e-3 * (c.square().sum() - c.diagonal().square().sum())


# --- the peers ----------------------------------------------------------------------------------------------------


def lightly_nt_xent() -> Loss:
    from lightly.loss import NTXentLoss

    loss = NTXentLoss(temperature=TAU)
    return lambda a, b, y: loss(a, b)


def lightly_barlow() -> Loss:
    from lightly.loss import BarlowTwinsLoss

    loss = BarlowTwinsLoss(lambda_param=5e-3)
    return lambda a, b, y: loss(a, b)


def pml(name: str, miner: str | None = None, **options: float) -> Callable[[], Loss]:
    def make() -> Loss:
        from pytorch_metric_learning import losses, miners

        loss = getattr(losses, name)(**options)
        mine = getattr(miners, miner)() if miner else lambda z, g: None

        def call(a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            z, g = torch.cat((a, b)), (torch.arange(len(a)) if name == "NTXentLoss" else y).repeat(2)
            return loss(z, g, mine(z, g))

        return call

    return make


def open_clip(name: str) -> Callable[[], Loss]:
    def make() -> Loss:
        from open_clip import loss as losses

        loss = getattr(losses, name)()

        def call(a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            a, b = F.normalize(a, dim=1), F.normalize(b, dim=1)
            if name == "ClipLoss":
                return loss(a, b, torch.tensor(1 / TAU))
            return loss(a, b, torch.tensor(10.0), torch.tensor(-10.0))

        return call

    return make


def products(times: int, two_sided: bool) -> Loss:
    """The bare matrix products of that many passes over all pairs."""

    def call(a: torch.Tensor, b: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x, z = (torch.cat((a, b)), torch.cat((a, b))) if not two_sided else (a, b)
        with torch.no_grad():
            for _ in range(times):
                torch.mm(x, z.T)
        return a.sum() * 0

    return call


# case → (rows of each side, dimensions, contestants)
CASES: dict[str, tuple[int, int, dict[str, Callable[[], Loss]]]] = {
    "nt_xent": (4096, 128, {
        "ours": lambda: lambda a, b, y: info_nce([a, b], Relation(torch.arange(len(a))), temperature=TAU)[0],
        "plain": lambda: plain_nt_xent, "lightly": lightly_nt_xent,
        "pytorch-metric-learning": pml("NTXentLoss", temperature=TAU), "three products": lambda: products(3, False),
    }),
    "supcon": (4096, 128, {
        "ours": lambda: lambda a, b, y: supcon([a, b], Relation(y), temperature=TAU)[0],
        "plain": lambda: plain_supcon, "pytorch-metric-learning": pml("SupConLoss", temperature=TAU),
        "three products": lambda: products(3, False),
    }),
    "triplet_hard": (4096, 128, {
        "ours": lambda: lambda a, b, y: triplet([a, b], Relation(y), mining="hard", margin=0.2)[0],
        "plain": lambda: plain_triplet,
        "pytorch-metric-learning": pml("TripletMarginLoss", "BatchHardMiner", margin=0.2),
        "three products": lambda: products(3, False),
    }),
    "clip": (4096, 128, {
        "ours": lambda: lambda a, b, y: info_nce_between(a, b, Relation(torch.arange(len(a))), temperature=TAU)[0],
        "plain": lambda: plain_clip, "open_clip": open_clip("ClipLoss"), "three products": lambda: products(3, True),
    }),
    "sigmoid": (4096, 128, {
        "ours": lambda: lambda a, b, y: sigmoid(a, b, Relation(torch.arange(len(a))))[0],
        "plain": lambda: plain_sigmoid, "open_clip": open_clip("SigLipLoss"),
        "three products": lambda: products(3, True),
    }),
    "barlow_twins": (4096, 1024, {
        "ours": lambda: lambda a, b, y: barlow_twins([a, b], Relation(torch.arange(len(a))))[0],
        "plain": lambda: plain_barlow, "lightly": lightly_barlow,
    }),
    "nt_xent, 65,536 pairs": (65536, 128, {
        "ours": lambda: lambda a, b, y: info_nce([a, b], Relation(torch.arange(len(a))), temperature=TAU)[0],
    }),
}  # fmt: skip


# --- one process --------------------------------------------------------------------------------------------------


def peak() -> int:
    """Highest resident memory so far, bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(case: str, contestant: str, calls: int) -> None:
    """Measure one contestant and print JSON."""
    rows, dim, contestants = CASES[case]
    try:
        loss = contestants[contestant]()
    except ImportError:
        print(json.dumps({"absent": True}))
        return

    def inputs(n: int) -> list[torch.Tensor]:
        g = torch.Generator().manual_seed(0)
        a, b = (torch.randn(n, dim, generator=g).requires_grad_() for _ in range(2))
        return [a, b, torch.randint(CLASSES, (n,), generator=g)]

    small = inputs(SMALL)
    loss(*small).backward()
    a, b, y = inputs(rows)
    before, times, value = peak(), [], 0.0
    try:
        for _ in range(calls + 1):
            a.grad = b.grad = None
            began = time.perf_counter()
            result = loss(a, b, y)
            result.backward()
            times.append(time.perf_counter() - began)
            value = float(result.detach())
            del result
    except (RuntimeError, MemoryError) as e:
        print(json.dumps({"failed": str(e).splitlines()[0][:120]}))
        return
    seconds = statistics.median(times[1:] or times)
    print(json.dumps({"seconds": seconds, "bytes": peak() - before, "loss": value,
                      "gradient": float(a.grad.norm()) if a.grad is not None else 0.0}))  # fmt: skip


def measured(case: str, contestant: str, calls: int) -> dict:
    """A fresh process's figures."""
    command = [sys.executable, __file__, "--child", case, contestant, "--calls", str(calls)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800)
    lines = done.stdout.splitlines()
    return json.loads(lines[-1]) if lines else {"failed": f"ended with status {done.returncode}"}


def one_case(case: str, rounds: int, calls: int) -> dict:
    """All contestants of a case, in turns."""
    rows, dim, contestants = CASES[case]
    big = rows > 10_000
    trials: dict[str, list[dict]] = {c: [] for c in contestants}
    for _ in range(1 if big else rounds):
        for c, so_far in trials.items():
            if not so_far or "seconds" in so_far[-1]:
                so_far.append(measured(case, c, 0 if big else calls))
    figures = {}
    for c, tried in trials.items():
        good = [t for t in tried if "seconds" in t]
        figures[c] = tried[-1] if not good else {
            "seconds": statistics.median(t["seconds"] for t in good),
            "MiB": statistics.median(t["bytes"] for t in good) / 2**20, "loss": good[0]["loss"],
            "gradient": good[0]["gradient"],
        }  # fmt: skip
    entry = {"rows": rows, "dimensions": dim, "rounds": 1 if big else rounds, "calls": 1 if big else calls,
             "load average": os.getloadavg()[0], "contestants": figures}  # fmt: skip
    if "seconds" in figures.get("plain", {}):
        entry["time / plain"] = figures["ours"]["seconds"] / figures["plain"]["seconds"]
        entry["memory / plain"] = figures["ours"]["MiB"] / figures["plain"]["MiB"]
    return entry


def version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", nargs="*", choices=CASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=5)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child, args.calls)
        return
    from nearfar.core import files

    found = files.read_json(args.out)["cases"] if args.out and args.out.exists() else {}
    for case in args.only or CASES:
        found[case] = one_case(case, args.rounds, args.calls)
        print(json.dumps({case: found[case]}), file=sys.stderr)
        result = {
            "claim": "forward and backward of a loss: ours / the plain form",
            "command": "python benchmarks/objectives.py --out docs/results/speed/objectives.json",
            "cases": {c: found[c] for c in CASES if c in found}, "torch": torch.__version__,
            "threads": torch.get_num_threads(), "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "versions": {n: version(n) for n in ("lightly", "pytorch-metric-learning", "open_clip_torch")},
        }  # fmt: skip
        if args.out:  # after every case, so that a run that is cut short keeps what it has
            args.out.parent.mkdir(parents=True, exist_ok=True)
            files.write_json(args.out, result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
