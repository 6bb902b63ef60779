"""docs/several.md, whose figures are those of the JSON that benchmarks/several.py left.

    python benchmarks/pages_several.py

A test asserts that the page says what the JSON says.
"""

from __future__ import annotations

import statistics
from typing import Any

import tables

PROTOCOLS = ("linear_probe", "knn")


def figure(cases: list[dict[str, Any]], protocol: str) -> str:
    """The accuracy of one case, or mean ± standard deviation of several."""
    values = [c[protocol]["accuracy"] for c in cases]
    if len(values) == 1:
        return tables.share(cases[0][protocol])
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def row(name: str, cases: list[dict[str, Any]], cost: str) -> list[str]:
    """One line of a table."""
    return [name, cost, str(cases[0]["dimensions"]), *(figure(cases, p) for p in PROTOCOLS)]


def together(d: dict[str, Any]) -> str:
    """One run, runs together, and what they have to beat."""
    n, epochs = len(d["seeds"]), d["epochs"]
    body = [row(f"one run of {epochs} epochs, {n} seeds", d["single"]["to zero"]["last weights"], "1")]
    for name, cases in d["ensembles"].items():
        size = len(cases[0]["members"])
        what = f"`{name.rpartition(' of ')[0]}` of {size}"
        body.append(row(f"{what}, {len(cases)} pairs" if len(cases) > 1 else what, cases, str(size)))
    body += [
        row(f"one run of {n * epochs} epochs, {n} seeds", d["longer"], str(n)),
        row(f"untrained encoder, {n} seeds", d["untrained"], "0"),
        row("raw pixels", [d["raw"]], "0"),
    ]
    return tables.rows(["model", "trainings", "dimensions", "linear probe", "kNN (20, τ 0.07)"], body)


def averaged(d: dict[str, Any]) -> str:
    """Weights of the last step, and of the last share of the steps, by schedule."""
    body = [
        [f"{schedule} ({d['schedules'][schedule]:g} of its peak)", name, *(figure(cases, p) for p in PROTOCOLS)]
        for schedule, kinds in d["single"].items()
        for name, cases in kinds.items()
    ]
    return tables.rows(["the rate falls", "weights", "linear probe", "kNN (20, τ 0.07)"], body)


def gains(d: dict[str, Any]) -> str:
    """By seed: the averaged weights beside the last ones whose statistics were taken in the same way."""
    parts = []
    for schedule, kinds in d["single"].items():
        pairs = zip(kinds["averaged"], kinds["last weights, statistics anew"], strict=True)
        both = [(a, b) for a, b in pairs]
        for p, word in zip(PROTOCOLS, ("linear probe", "kNN"), strict=True):
            moved = [f"{a[p]['accuracy'] - b[p]['accuracy']:+.3f}".replace("-", "−") for a, b in both]
            parts.append(f"{schedule}, {word} {', '.join(moved)}")
    return "; ".join(parts)


def turned(d: dict[str, Any]) -> str:
    """How near members were to the first, as trained and aligned."""
    found = [a for name, cases in d["ensembles"].items() if name.startswith("average of")
             for c in cases for a in c["agreement"]]  # fmt: skip
    before, after = ([a[k] for a in found] for k in ("before", "after"))
    return f"{min(before):.2f} … {max(before):.2f} as trained and {min(after):.2f} … {max(after):.2f} aligned"


def mean(cases: list[dict[str, Any]], protocol: str) -> float:
    """Mean accuracy of some cases."""
    return statistics.mean(c[protocol]["accuracy"] for c in cases)


def said(d: dict[str, Any]) -> str:
    """What the table shows, in sentences, from its numbers alone."""
    n, e = len(d["seeds"]), d["ensembles"]
    best = max((name for name in e if name.endswith(f" of {n}")), key=lambda name: mean(e[name], "knn"))
    one, whole, long = (mean(c, "knn") for c in (d["single"]["to zero"]["last weights"], e[best], d["longer"]))
    apart = mean(e[f"average of {n}"], "knn") - mean(e[f"average, not aligned of {n}"], "knn")
    verdict = "more than the ensemble, so there an ensemble is for runs that are there anyway"
    return (
        f"By kNN the best of the ensembles of {n} (`{best.rpartition(' of ')[0]}`) is {whole - one:+.3f} from the mean of its\n"
        f"members; one run that costs as much is {long - one:+.3f}, {verdict if long > whole else 'no more than the ensemble'}.\n"
        f"The aligned mean is {apart:+.3f} from the one that is not, where one test row is {1 / d['test_rows']:.3f}: a probe turns and\n"
        "weighs the dimensions itself. What the alignment is for is the cosine: with it the mean stays nearer\n"
        "to the cosines of its members (tests/models/test_several.py measures both)."
    ).replace("-0.", "−0.")


def worth(d: dict[str, Any]) -> str:
    """Whether averaging moved any figure by more than seeds do."""
    moved = []
    for schedule, kinds in d["single"].items():
        base, new = kinds["last weights, statistics anew"], kinds["averaged"]
        for p, word in zip(PROTOCOLS, ("linear probe", "kNN"), strict=True):
            if abs(mean(new, p) - mean(base, p)) > statistics.stdev(c[p]["accuracy"] for c in base):
                moved.append(f"{word}, {schedule}")
    if not moved:
        return "No mean moved by as much as one standard deviation between seeds: averaging is not worth its pass here."
    return f"Moved by more than one standard deviation between seeds: {'; '.join(moved)}."


def page() -> str:
    """The whole page."""
    d = tables.read("several")["digits"]
    recipe = ", ".join(f"{k} {v}" for k, v in d["recipe"].items() if k != "epochs")
    return f"""# Several runs together

## From several seeds

```console
$ nearfar train photos/ --seeds 3 --out runs/three     # runs/three/seed0, seed1, seed2: a run each
$ nearfar train --resume --out runs/three              # an interrupted whole goes on; what is finished is kept
$ nearfar eval runs/three                              # every run, and a line of mean ± standard deviation
```

The first seed is `--seed`. `eval` puts together whatever runs differ by their seed alone, also where they are named one by
one, and several such sets stand beside each other (`nearfar eval runs/simclr runs/byol`). With `--json` the key `summary` has
n, mean and sd of every figure. In Python: `nearfar.train_seeds("photos/", seeds=3, out="runs/three")` and
`nearfar.evaluate("runs/three").summary`.

Options beside `--resume` are for all seeds: with more `--epochs` what is finished goes on too (if it was trained with
`--keep-optimizer`), more `--seeds` are begun, and what cannot change, such as `--batch-size`, is refused by name.

## One model of several

```console
$ nearfar ensemble runs/three --out runs/one                                # vectors side by side
$ nearfar ensemble runs/a runs/b/seed0 --how average --out runs/mean        # the mean, in one space
```

An ensemble is a run folder like any other, which holds all it needs: `eval`, `search`, `embed`, `nearfar.load` and
`--positives teacher:runs/one` take it. Members must take the same modality; encoders, methods and stored sizes may differ,
since each member reads new data its own way.

- `concat`: the members' unit vectors side by side, scaled to unit length. Its cosine is the mean of the members' cosines.
- `average`: the mean of the unit vectors, where the dimensions agree. Spaces of independent trainings are turned against
  each other in any way, so every member is first turned into the space of the first, by the orthogonal map that
  brings its vectors of training rows nearest to the first's (Procrustes). The map is stored. On the digits below the mean
  cosine of a member with the first was {turned(d)}.

In Python: `nearfar.combine(["runs/a", "runs/b"], how="average", out="runs/mean")`.

## Averaged weights

`--set train.average=0.2` leaves the mean of the weights over the last fifth of the steps (Izmailov et al. 2018,
[arXiv 1803.05407](https://arxiv.org/abs/1803.05407)), with batch norm's statistics taken anew from one more epoch of views.
The training itself is not changed by it; a checkpoint holds the running mean.

`--set train.interpolate=0.4`, for a training that begins from another run (`--init-from`) or from a pretrained model, leaves the
encoder two fifths of the way back to the weights it began with (Wortsman et al. 2021,
[arXiv 2109.01903](https://arxiv.org/abs/2109.01903)): what was learnt from few rows, or from rows of one kind, then costs
less on others. [Sentence similarity](results/text.md) shows what it is worth.

## What it is worth on digits

scikit-learn's digits, the demonstration's settings ({recipe}) with {d["epochs"]} epochs, seeds
{", ".join(map(str, d["seeds"]))}. Probes are fitted on the {d["train_rows"]:,} training rows and scored once on the {d["test_rows"]} test
rows, on which nothing was chosen. ± is the standard deviation between seeds, or between pairs of them (which share
members); brackets are 95 % intervals (Wilson) over the test rows. "trainings" is the cost, in runs of {d["epochs"]} epochs.

{together(d)}

{said(d)}

{averaged(d)}

"statistics anew" are the last weights with batch norm's statistics taken as for averaged ones, so that the rest of the
difference is the weights'. Averaged minus that, seed by seed: {gains(d)}.
{worth(d)}

```console
$ {d["command"]}
```

A training took {d["training_seconds"]:.0f} seconds on one core ({d["machine"]}), beside other work.
"""


def main() -> None:
    (tables.ROOT.parent / "several.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
