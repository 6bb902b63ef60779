"""Images per second of the full SimCLR chain, beside torchvision, kornia and lightly.

    OMP_NUM_THREADS=1 python benchmarks/views.py [--out docs/results/speed/views.json]

Claims, on one core: at 32×32 at least 10 times torchvision per image, at 96×96 and 224×224 at least 3 times, at every
size ahead of the best batched peer; views take at most 3 % of a training step at 32×32 with the default network.

Everybody gets the same uint8 pictures of the view's size (per-image peers also as PIL images; the quicker way counts)
and the same settings: crop of 20 to 100 % of the area, flip, jitter 0.4/0.4/0.4/0.1 of 80 %, greyscale of 10 %, and
from 64 pixels on Gaussian blur of 50 %, of the same widths and number of taps. Everybody gives float32 in [0, 1];
putting per-image peers' results together into a batch is not counted. torchvision on the batch draws ONE set of numbers
for all images, the others one for each. Contenders take turns; CPU time of the process (so other work on the machine
matters less), median over rounds. With --device cuda the batched ones run there, by the wall clock.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

from nearfar.core import files
from nearfar.transforms.draws import Draws
from nearfar.transforms.recipe import apply
from nearfar.transforms.recipes import BLUR_FROM, named

ROWS = {32: 256, 96: 64, 224: 32}
ASKED = {32: 10.0, 96: 3.0, 224: 3.0}
SCALE, COLOUR, GREY = (0.2, 1.0), (0.4, 0.4, 0.4, 0.1), 0.1


def pictures(rows: int, size: int) -> torch.Tensor:
    """Smooth random uint8 pictures (N, 3, S, S)."""
    rough = torch.rand(rows, 3, size // 4, size // 4, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(rough, (size, size), mode="bicubic").clamp(0, 1)
    return (smooth * 255).to(torch.uint8)


def blur(size: int) -> tuple[int, tuple[float, float]]:
    """Taps and widths that `Blur` has at this size."""
    return 2 * max(1, int(6 * size / 224 + 0.5)) + 1, (0.1 * size / 224, 2.0 * size / 224)


def torchvision_chain(size: int) -> list[torch.nn.Module]:
    chain = [
        v2.RandomResizedCrop(size, scale=SCALE, antialias=True), v2.RandomHorizontalFlip(),
        v2.RandomApply([v2.ColorJitter(*COLOUR)], 0.8), v2.RandomGrayscale(GREY),
    ]  # fmt: skip
    if size >= BLUR_FROM:
        chain.append(v2.RandomApply([v2.GaussianBlur(*blur(size))], 0.5))
    return chain


def kornia_chain(size: int) -> torch.nn.Module:
    from kornia import augmentation as k

    chain = [
        k.RandomResizedCrop((size, size), scale=SCALE), k.RandomHorizontalFlip(), k.ColorJitter(*COLOUR, p=0.8),
        k.RandomGrayscale(p=GREY),
    ]  # fmt: skip
    if size >= BLUR_FROM:
        taps, sigma = blur(size)
        chain.append(k.RandomGaussianBlur((taps, taps), sigma, p=0.5))
    return torch.nn.Sequential(*chain)


def contenders(size: int, device: str) -> dict[str, tuple[Callable[[], object], int]]:
    """By name: what makes one view of each picture, and of how many pictures."""
    from lightly.transforms import SimCLRTransform

    rows = ROWS[size] if device == "cpu" else 256
    x = pictures(rows, size).to(device)
    recipe, drawn = named("simclr", size, 3)[0], torch.Generator().manual_seed(0)
    to_float = v2.ToDtype(torch.float32, scale=True)
    late, early = v2.Compose([*torchvision_chain(size), to_float]), v2.Compose([to_float, *torchvision_chain(size)])
    batched = kornia_chain(size)
    found = {
        "nearfar": (lambda: apply(recipe, x, Draws(drawn, rows, device=device), size=size), rows),
        "torchvision, batch uint8": (lambda: late(x), rows),
        "torchvision, batch float": (lambda: early(x), rows),
        "kornia, batch": (lambda: batched(x.float() / 255), rows),
    }
    if device != "cpu":
        return found
    few = x[:32]
    pil = [functional.to_pil_image(image) for image in few]
    from_pil = v2.Compose([*torchvision_chain(size), v2.ToImage(), to_float])
    sigma = blur(size)[1]
    peer = SimCLRTransform(
        input_size=size, cj_prob=0.8, cj_strength=0.5, min_scale=SCALE[0], random_gray_scale=GREY,
        gaussian_blur=0.5 if size >= BLUR_FROM else 0.0, sigmas=sigma, normalize=None,
    )  # fmt: skip
    return found | {
        "torchvision, tensor": (lambda: [late(image) for image in few], len(few)),
        "torchvision, PIL": (lambda: [from_pil(image) for image in pil], len(pil)),
        "lightly, PIL": (lambda: [peer(image) for image in pil], 2 * len(pil)),  # two views a call
    }


def seconds(function: Callable[[], object], least: float, device: str) -> float:
    """Of one call, from as many as take `least` seconds."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    calls, began = 0, clock()
    while True:
        function()
        calls += 1
        if device != "cpu":
            torch.cuda.synchronize()
        if (taken := clock() - began) >= least:
            return taken / calls


def at_size(size: int, rounds: int, least: float, device: str) -> dict[str, object]:
    """Images per second of all contenders, and ratios of ours to the quickest peer of each kind, round by round."""
    rates: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for name, (function, rows) in contenders(size, device).items():
            rate = rows / seconds(function, least, device)
            if turn:  # the first round warms up
                rates.setdefault(name, []).append(rate)
    median = {name: statistics.median(r) for name, r in rates.items()}
    peers = {
        "torchvision per image": [n for n in median if n in ("torchvision, tensor", "torchvision, PIL")],
        "best batched peer": [n for n in median if "batch" in n],
        "lightly per image": [n for n in median if "lightly" in n],
    }
    found: dict[str, object] = {"images_per_second": median, "asked_of_torchvision": ASKED[size], "ratio": {}}
    for kind, names in peers.items():
        if names:
            best = max(names, key=median.__getitem__)
            each = sorted(ours / theirs for ours, theirs in zip(rates["nearfar"], rates[best], strict=True))
            found["ratio"][kind] = {
                "peer": best, "ratio": median["nearfar"] / median[best], "by_round": [each[0], each[-1]],
            }  # fmt: skip
    return found


def share_of_a_step(rounds: int, steps: int = 4) -> dict[str, float]:
    """CPU time of the views of a batch within that of a whole training step at 32×32, one thread."""
    from nearfar.core.config import assemble
    from nearfar.core.console import QUIET
    from nearfar.training.plan.prepare import prepare
    from nearfar.training.trainer import Trainer

    images = np.random.default_rng(0).integers(0, 256, (5120, 32, 32, 3), dtype=np.uint8)
    config, _ = assemble(None, (), method="simclr", batch_size=256, epochs=100, holdout=0.0, threads=1)
    trainer = Trainer(prepare(config, images, console=QUIET), None, QUIET)
    trainer.learner.train()
    order = trainer.sampler.order(0)
    views, whole = [], []
    for turn in range(rounds + 1):
        began = time.process_time()
        for i in range(steps):
            trainer.viewer.batch(order[256 * i : 256 * (i + 1)], 0, i)
        between = time.process_time()
        for i in range(steps):
            trainer.step(trainer.sampler.batch(0, i, order), 0, i)
        if turn:
            views.append((between - began) / steps)
            whole.append((time.process_time() - between) / steps)
    shares = sorted(v / w for v, w in zip(views, whole, strict=True))
    return {
        "views_seconds": statistics.median(views), "step_seconds": statistics.median(whole),
        "share": statistics.median(shares), "by_round": [shares[0], shares[-1]], "asked": 0.03, "rows": 256,
        "encoder": trainer.config.model.encoder, "precision": trainer.config.train.precision,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(ROWS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--least", type=float, default=0.4, help="seconds of one contender's turn")
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found = {
        "claim": "one core: >= 10 x torchvision per image at 32, >= 3 x at 96 and 224, ahead of the best batched peer",
        "command": "OMP_NUM_THREADS=1 python " + " ".join(sys.argv),
        "sizes": {str(s): at_size(s, args.rounds, args.least, args.device) for s in args.sizes},
        "step": share_of_a_step(args.rounds) if args.device == "cpu" else None,
        "device": args.device, "rounds": args.rounds, "machine": platform.machine(), "torch": torch.__version__,
        "torchvision": version("torchvision"), "kornia": version("kornia"), "lightly": version("lightly"),
    }  # fmt: skip
    print(json.dumps(found, indent=2))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(args.out, found)


if __name__ == "__main__":
    main()
