"""docs/results/text.md and pairs.md, written from the JSON that benchmarks/text.py, pairs.py and captions.py left."""

from __future__ import annotations

import statistics
from typing import Any

import tables

ASKED = {"agnews_small": "≥ 0.76", "subj": "≥ 0.86", "trec": "target 0.58", "sst2": "target 0.62"}


def by_case(found: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The seeds of every case, in order."""
    cases: dict[str, list[dict[str, Any]]] = {}
    for name, d in found.items():
        cases.setdefault(name.rpartition("-seed")[0], []).append(d)
    return cases


def over(values: list[float]) -> str:
    """Mean ± standard deviation over the seeds."""
    return f"{statistics.mean(values):.3f}" + (f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else "")


def minutes(cases: list[dict[str, Any]]) -> str:
    """Training time of the quickest seed, on a shared machine."""
    return f"{min(d['training_seconds'] for d in cases):.0f}"


def few(cases: dict[str, list[dict[str, Any]]]) -> str:
    """One line a set: few labels and all, beside TF-IDF."""
    body = []
    for case, seeds in cases.items():
        runs = [d["results"][0] for d in seeds]
        under = [r["floors"]["untrained_encoder"] for r in runs]
        body.append([
            case, over([r["shots"]["8"]["mean"] for r in runs]), ASKED.get(case, "–"),
            over([d["tfidf"]["shots"]["8"]["mean"] for d in seeds]), over([u["shots"]["8"]["mean"] for u in under]),
            over([r["shots"]["16"]["mean"] for r in runs]), over([r["linear_probe"]["accuracy"] for r in runs]),
            over([d["tfidf"]["all"] for d in seeds]), minutes(seeds),
        ])  # fmt: skip
    head = ["set", "8 labels", "asked", "TF-IDF, 8 labels", "untrained, 8 labels", "16 labels", "all labels, linear probe",
            "TF-IDF, all labels", "seconds"]  # fmt: skip
    return tables.rows(head, body)


def text() -> str:
    """Few labels of texts."""
    found = by_case(tables.read("text"))
    labelled = {c: s for c, s in found.items() if c.endswith(LABELLED)}
    default = {c: s for c, s in found.items() if c.endswith(DEFAULTS)}
    cases = {c: s for c, s in found.items() if c not in labelled and c not in default}
    some = next(iter(cases.values()))[0]
    chosen = tables.read("fixed")
    return f"""# Texts

What an embedding learnt from unlabelled training rows is worth with few labels. Ten draws of labelled training rows for
each seed, logistic regression, the whole test set; mean of the draws, then mean ± standard deviation over the seeds.
TF-IDF with logistic regression got the same draws. Seconds are of one thread on a machine that did other work.

{by_default(default)}## Without fixed features

Method `{some["method"]}`, encoder `{some["encoder"]}` (a bag of hashed words and character n-grams, random at first) without
fixed features, {some["knobs"]["epochs"]} epochs with {some["knobs"]["batch_size"]} rows, no row held out.

{few(cases)}

With all labels, TF-IDF and logistic regression is ahead wherever the last columns say so: 512 dimensions learnt without
labels hold less than tens of thousands of counts.

{all_labels(labelled)}

{held_out(chosen)}

{tables.commands({**{f"{c}-{d['seed']}": d for c, s in found.items() for d in s}, **{d["command"]: d for d in chosen.values()}})}

{similarity()}

{some["machine"]}; nearfar {some["nearfar"]}.
"""


def held_out(found: dict[str, dict[str, Any]]) -> str:
    """What numbers were chosen by."""
    cases, variants = list(found), list(next(iter(found.values()))["found"])
    body = []
    for name in variants:
        for part in ("weight 1.0", "trained", "fixed") if name == variants[0] else ("weight 1.0",):
            lines = [found[c]["found"][name][part] for c in cases]
            label = {"trained": "the trained part alone", "fixed": "the fixed part alone"}.get(part, name)
            body.append([label, *(f"{x['8 labels a class']:.3f}, {x['knn']:.3f}" for x in lines)])
    for part in ("weight 0.5", "weight 0.7"):
        lines = [found[c]["found"][variants[0]][part] for c in cases]
        body.append([f"fixed part of {part}", *(f"{x['8 labels a class']:.3f}, {x['knn']:.3f}" for x in lines)])
    return f"""## Chosen on held-out rows

Ten epochs on four fifths of the training rows, scored on the fifth: 8 labels a class (10 draws), and a kNN
(benchmarks/fixed.py). `default` has 256 dimensions that are trained, and 256 of latent semantic analysis of the same length.
One seed: differences below .01 say little.

{tables.rows(["changed", *cases], body)}

"""


def by_default(cases: dict[str, list[dict[str, Any]]]) -> str:
    """A training that is told nothing, beside every floor."""
    few_rows, others = [], []
    for case, seeds in cases.items():
        runs = [d["results"][0] for d in seeds]
        floors = {key: [r["floors"][key] for r in runs] for key in ("untrained_encoder", "raw_input")}
        own = [r["shots"]["8"]["mean"] for r in runs]
        below = {
            "TF-IDF": [d["tfidf"]["shots"]["8"]["mean"] for d in seeds],
            "LSA": [d["lsa"]["shots"]["8"]["mean"] for d in seeds],
            "untrained": [u["shots"]["8"]["mean"] for u in floors["untrained_encoder"]],
        }
        best = max(below, key=lambda name: statistics.mean(below[name]))
        lead = statistics.mean(own) - statistics.mean(below[best])
        name = case.removesuffix(DEFAULTS)
        few_rows.append([name, over(own), *(over(v) for v in below.values()), f"{lead:+.3f} ({best})"])
        accuracies = [
            over([r[protocol]["accuracy"] for r in rows])
            for protocol in ("knn", "linear_probe") for rows in (runs, *floors.values())
        ]  # fmt: skip
        kept = ", ".join(f"{d['kept']} of {d['steps']}" for d in seeds)
        others.append([name, *accuracies, kept, minutes(seeds)])
    head = ["set", "8 labels", "TF-IDF", "LSA, 100 dimensions", "untrained", "above the best floor"]
    head_of_others = ["set", "kNN", "untrained", "raw input", "linear probe", "untrained", "raw input", "kept after steps",
                      "seconds"]  # fmt: skip
    return f"""## By default

Nothing but the seed is said: fixed features, a tenth of the training rows held out, the best state by these
kept, as many steps as gain something. LSA is scikit-learn's, with the same draws and regression as TF-IDF. On TREC a kNN of
the untrained encoder, which has the same fixed features, is ahead of the trained one; 500 test rows tell no such difference
from chance.

{tables.rows(head, few_rows)}

{tables.rows(head_of_others, others)}

"""


def all_labels(cases: dict[str, list[dict[str, Any]]]) -> str:
    """Embeddings learnt from all labels."""
    body = []
    for case, seeds in cases.items():
        probes = [d["results"][0]["linear_probe"] for d in seeds]
        (tfidf,) = {d["tfidf"]["all"] for d in seeds}
        mean = statistics.mean(p["accuracy"] for p in probes)
        low, high = probes[0]["interval"]
        body.append([
            case.removesuffix(LABELLED), over([p["accuracy"] for p in probes]), f"[{low:.3f}, {high:.3f}]", f"{tfidf:.3f}",
            f"{mean - tfidf:+.3f}", minutes(seeds),
        ])  # fmt: skip
    some = next(iter(cases.values()))[0]
    one, other = some["knobs"]
    head = ["set", "all labels, linear probe", "interval, seed 0", "TF-IDF", "difference", "seconds"]
    return f"""## With all labels

Where all training rows have labels, let them teach (method `{one["method"]}`, {one["epochs"]} epochs with {one["batch_size"]}
rows): two bags, tokens `{one["tokens"]}` with recipe `{one["recipe"]}` and `{other["tokens"]}` with `{other["recipe"]}`, their
vectors side by side (`nearfar ensemble`). Chosen on a fifth of the training rows of TREC, SST-2 and MR (`--on held`). Asked
was not to be below TF-IDF with logistic regression.

{tables.rows(head, body)}"""


LABELLED, DEFAULTS = "-labels", "-defaults"
LEARNT = {
    "words": ("document frequencies of all sentences", "> 0.713"),
    "translations": ("and translations: no pair of English sentences", "> 0.713"),
    "pairs": ("and English pairs that belong together", "≥ 0.76"),
    "scores": ("and the scores of training pairs", "≥ 0.76"),
    "three": ("`scores` of three seeds as one model", "≥ 0.76"),
}


def similarity() -> str:
    """STS-B."""
    cases, body = by_case(tables.read("sts")), []
    learnt = {k: v for k, v in LEARNT.items() if k in cases}
    for case, (what, asked) in learnt.items():
        seeds = cases[case]
        low, high = seeds[0]["results"]["run"]["interval"]
        trained = "training_seconds" in seeds[0]
        body.append([
            f"`{case}`: {what}", f"{seeds[0]['rows']:,}" if trained else "", spearman(seeds), f"[{low:.3f}, {high:.3f}]",
            asked, spearman(seeds, "untrained") if trained else "", spearman(seeds, on="dev"),
            minutes(seeds) if trained else "",
        ])  # fmt: skip
    some, tried = cases["words"][0], by_case(tables.read("sts-tried"))
    left = {k: v for k, v in some["left_out"].items() if v}
    head = [
        "learnt from",
        "rows",
        "test, Spearman",
        "interval, seed 0",
        "asked",
        "same rows, untrained",
        "dev",
        "seconds",
    ]
    kept = cases["pairs"][0]["knobs"]["interpolate"]
    return f"""## Sentence similarity

STS-B, the 1,379 test pairs: rank correlation of cosines with people's scores, nothing fitted on them. A bag of
hashed words and n-grams from random weights. Training sentences equal to one of
the dev or test pairs, but for case and signs, were left out: {", ".join(f"{v} of {k}" for k, v in left.items())}. TF-IDF of
characters on the same training sentences has {some["results"]["tfidf"]["spearman"]:.3f} on the test pairs and
{some["dev"]["tfidf"]["spearman"]:.3f} on the dev pairs. Contrast without pairs (random halves of a sentence as views, or
dropout) was tried on dev and made the first line worse, so that line is counted, not trained.

{tables.rows(head, body)}

`translations` are multi30k's, English with German, French and Czech; `pairs` are these, SICK's entailments and the pairs of
STS-B's training part that score 4 or more, in batches of one set each. Both begin from `words`; `scores` goes on from
`pairs` with all scores of that part, by CoSENT.
Numbers were chosen on the dev pairs, those of `words` (lengths of n-grams, power of the document frequencies) on the
scores of the training pairs too. Learning from captions makes sentences of forums worse, whose words it has not seen
(table below), so {kept:g} of the weights of `words` are kept in both (`train.interpolate`).

{sources(cases)}

Scored on test before, and left: {"; ".join(f"`{name}` {spearman(seeds)}" for name, seeds in tried.items())} (the number is that of
dimensions; n-grams of 2 to 4, power 1.5, nothing kept); `words` with 2,048 dimensions and translations alone, whose files
were not kept. What is in the table was settled after these were seen, by dev and training pairs; `translations` came last, with the
numbers of `pairs`. Whether the first target allows translations is a matter of reading: no score and no pair of English
sentences is used, and that is what this line is for. Lines without ± are of one seed.

{tables.commands({f"{c}-{d['seed']}": d for c in learnt for d in cases[c]})}"""


def sources(cases: dict[str, list[dict[str, Any]]]) -> str:
    """Dev pairs by source, mean over the seeds."""
    names = list(cases["words"][0]["dev_by_source"])
    body = [
        [f"`{case}`", *(over([d["dev_by_source"][n] for d in cases[case]]) for n in names)]
        for case in LEARNT
        if case in cases
    ]
    return tables.rows(["dev pairs by source", *names], body)


def spearman(seeds: list[dict[str, Any]], who: str = "run", on: str = "results") -> str:
    """Rank correlation over the seeds."""
    return over([d[on][who]["spearman"] for d in seeds])


def recall(seeds: list[dict[str, Any]], who: str, where: str, way: int) -> str:
    """Recall at 1 one way."""
    return over([list(d["results"][who][where].values())[way]["recall"]["1"] for d in seeds])


def pairs() -> str:
    """Translations and captions."""
    found = by_case(tables.read("pairs"))
    bitext = {c: s for c, s in found.items() if "languages" in s[0]}
    body = []
    for seeds in bitext.values():
        d = seeds[0]
        a, b = d["languages"]
        for way, name in enumerate((f"{a} → {b}", f"{b} → {a}")):
            margin = over([list(s["results"]["run"]["bitext"].values())[way]["margin"]["accuracy"] for s in seeds])
            interval = list(d["results"]["run"]["retrieval"].values())[way]["interval"]
            body.append([
                name, f"{d['pairs']:,}", recall(seeds, "run", "retrieval", way), f"[{interval[0]:.3f}, {interval[1]:.3f}]",
                margin, recall(seeds, "run", "with_distractors", way), recall(seeds, "untrained", "retrieval", way),
                recall(seeds, "raw", "retrieval", way), minutes(seeds),
            ])  # fmt: skip
    head = ["", "training pairs", "R@1", "interval, seed 0", "nearest by margin", "R@1 with distractors", "untrained R@1",
            "hashed counts R@1", "seconds"]  # fmt: skip
    some = next(iter(bitext.values()))[0]
    shown = {f"{c}-{d['seed']}": d for c, s in found.items() for d in s}
    return f"""# Pairs

## Translations

multi30k, the 1,000 pairs of test_2016; one encoder for both languages (`{some["encoder"].partition("=")[2].partition(",")[0]}`,
{some["dimensions"]} dimensions, random at first), method `{some["method"]}`. Epochs, dimensions and batch were chosen on val.
Mean ± standard deviation over the seeds. Distractors are the training sentences of the other language that are not among
the test sentences. Asked was R@1 ≥ 0.975 both ways for English and German.

{tables.rows(head, body)}

## Pictures and captions

{captions({c: s for c, s in found.items() if "languages" not in s[0]})}

{tables.commands(shown)}

{some["machine"]}; nearfar {some["nearfar"]}.
"""


def captions(found: dict[str, list[dict[str, Any]]]) -> str:
    """One line a set and way."""
    body, truth = [], []
    for case, seeds in found.items():
        ways = list(seeds[0]["results"]["run"]["retrieval"])
        for way, name in zip(ways, ("picture → caption", "caption → picture"), strict=True):
            of = [d["results"]["run"]["retrieval"][way] for d in seeds]
            under = [d["results"]["untrained"]["retrieval"][way] for d in seeds]
            body.append([
                case, name, *(over([r["recall"][k] for r in of]) for k in ("1", "5", "10")),
                over([r["median_rank"] for r in of]), over([r["recall"]["1"] for r in under]),
                f"{of[0]['chance']['1']:.3f}", minutes(seeds),
            ])  # fmt: skip
        if "pair_classification" in seeds[0]["results"]["run"]:
            run, under = ([d["results"][w]["pair_classification"] for d in seeds] for w in ("run", "untrained"))
            told, untold = (over([r["at_threshold"]["accuracy"] for r in rs]) for rs in (run, under))
            truth.append(
                f"Telling true sentences of {case} from false ones: accuracy {told}, untrained {untold}, majority "
                f"{run[0]['at_threshold']['majority']:.3f}: not learnt, since they turn on counts and positions that a bag "
                "of words and one vector a picture do not hold."
            )
    head = ["set", "", "R@1", "R@5", "R@10", "median rank", "untrained R@1", "chance R@1", "seconds"]
    knobs = next(iter(found.values()))[0]["knobs"] if found else {}
    about = ", ".join(f"{k} {knobs[k]}" for k in ("epochs", "batch_size") if k in knobs)
    return "\n\n".join([
        "`pooled_cnn` and a bag of words and n-grams, both random at first, a linear layer each into a common space; "
        f"{about}. Equal captions count as hits.", tables.rows(head, body), *truth,
    ])  # fmt: skip
