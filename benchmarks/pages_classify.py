"""docs/classify.md, whose figures are those of the JSON that benchmarks/classify.py left.

    python benchmarks/pages_classify.py

A test asserts that the page says what the JSON says.
"""

from __future__ import annotations

import json
import statistics
from typing import Any

import tables

HEAD = ["labels a class", "accuracy", "out of fold", "calibration error", "without a temperature", "refused: known",
        "refused: strangers", "expected"]  # fmt: skip


def mean(cases: list[dict[str, Any]], key: str) -> str:
    """Mean ± standard deviation over the draws; a dash where there is no figure."""
    values = [c[key] for c in cases if c[key] is not None]
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def figures(d: dict[str, Any]) -> str:
    """One line a number of labels."""
    body = []
    for count, cases in d["few"].items():
        strangers = statistics.mean(s["strangers_refused"] / s["strangers"] for s in d["strangers"][count])
        known = 1 - statistics.mean(c["coverage"] for c in cases)
        calibrated = all(c["calibrated"] for c in cases)
        error = mean(cases, "calibration_error")
        body.append([
            count, mean(cases, "accuracy"), mean(cases, "out_of_fold"), error if calibrated else "–",
            mean(cases, "calibration_error_untempered"), f"{known:.3f}", f"{strangers:.2f}",
            mean(d["strangers"][count], "strangers_expected"),
        ])  # fmt: skip
    return tables.rows(HEAD, body)


def kinds(d: dict[str, Any]) -> str:
    """How often kNN was chosen where there was a choice."""
    chosen = [c["kind"] for cases in d["few"].values() for c in cases if c["calibrated"]]
    return f"{chosen.count('knn')} of {len(chosen)}"


def page() -> str:
    d = json.loads((tables.ROOT / "classify" / "digits.json").read_text(encoding="utf-8"))
    e = d["example"]
    names = " and ".join(map(str, d["stranger_classes"]))
    said, written = "\n".join(e["said"]), "\n".join(e["written"])
    return f"""# Classes from few labels

A run has learnt what is alike. A few labelled rows give it names:

```console
$ nearfar classify runs/photos labelled/ new/ --out predictions.csv   # sub-folders, or --label COLUMN
$ nearfar classify runs/photos labels.csv --label species --name species
$ nearfar classify runs/photos more/ --use species --out more.csv     # with what the run has kept
```

Rows without a label are left out. The classifier works on the model's vectors, and lies in the run as
`classifier/NAME/classifier.json` and `weights.safetensors`; with other weights of the run it is refused. From Python:
`nearfar.classify("runs/photos", "labelled/", "new/").lines()`; on vectors of anything: `nearfar.Classifier.fit(x, labels, names)`.

- **Kind.** Logistic regression on standardised features, or kNN (cosine), whichever is right more often on rows left out
  (five folds with their share of every class); with fewer than 5 rows in the median class logistic regression, with more
  than 500 classes kNN. `--kind` names one. C is chosen in the same way where the median class has 10 rows. Since choices
  were made on them, the out-of-fold accuracy is a little too good. Rows that belong together (one patient, one clip) are
  left out together with `--group COLUMN` or `--group-from REGEX`, see [groups](data.md#groups); without it copies vouch
  for each other.
- **Probability.** That of the likeliest class if the row is of one of the classes, calibrated by a temperature
  (Guo et al. 2017, [arXiv 1706.04599](https://arxiv.org/abs/1706.04599)) fitted on rows left out, where the median class
  has 5; fewer cannot tell, which is said.
- **None of these.** `similarity` is the mean cosine with the 5 nearest labelled rows of the likeliest class. Where it is
  lower than for all but 1 % (`--reject`) of the labelled rows with theirs, `prediction` is empty and `likeliest` says what
  it would have been (neighbour distances: Sun et al. 2022, [arXiv 2204.06507](https://arxiv.org/abs/2204.06507)). With N
  labelled rows no less than about one in N + 1 can be refused. How many rows of *other* classes are refused is told by
  leaving out each class in turn (a tenth of them where there are more than ten), with an interval over the classes, and
  the `--reject` that parts known from other rows best is proposed where that is another.
- **Rows that the model knows.** Where it learnt from labels, or from pairs, it knows the rows that it was trained on, and
  their classes, better than new ones. The run keeps which they were (hashes of their content); they serve to classify by,
  and accuracy, temperature and threshold are told by the other rows, such as those that the training set aside, if there
  are 20. `"taught"` in the JSON counts them. Rows that were trained on without labels count as new ones: on the digits
  below that made no difference.
- **Measured.** If the new rows have labels too, these are only compared with: accuracy, share not refused, accuracy of
  those, and expected calibration error. Rows of classes that the classifier does not know are counted by themselves, and said
  with their names and what they may be another spelling of.
- **Written.** A line a row: its name, its text where it is one, and what was said of it. The classifier is kept last of all,
  so that a mistake in NEW or `--out` leaves an earlier one as it was.

## On digits

scikit-learn's digits, the demonstration's model, which saw the {d["train_rows"]:,} training rows without labels; ten labelled rows
of each class, and the {d["test_rows"]} test rows as the new ones:

```text
$ {e["command"]}
{said}
$ head -4 predictions.csv
{written}
```

Mean ± standard deviation over {d["draws"]} draws of the labelled rows, all scored on the same test rows. "refused: known" are test
rows of the labelled classes, {d["reject"]:g} of which were to be; "refused: strangers" are those of {names} by a classifier
that has no labelled row of them; "expected" is what it said of them beforehand.

{figures(d)}

With few rows little is refused, and a stranger may well get a class: the nearest of few is far for every row. The
temperature mends what is badly calibrated (few rows, a chosen C); what is well calibrated as it is stays about so. kNN
was chosen in {kinds(d)} cases with a choice. With all {d["train_rows"]:,} rows, choosing, fitting and calibrating
took {d["seconds_with_all_rows"]:.1f} seconds ({d["machine"]}), beside other work.

```console
$ {d["command"]}
```
"""


def main() -> None:
    (tables.ROOT.parent / "classify.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
