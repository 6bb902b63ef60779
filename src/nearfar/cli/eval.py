"""``nearfar eval``."""

from __future__ import annotations

from typing import Any

import click

from nearfar.cli import common, console
from nearfar.cli._groups import group_options, grouping
from nearfar.cli._pairs import columns_of, pair_option


@click.command(short_help="Measure runs, with floors and intervals.")
@click.argument("runs", nargs=-1, required=True)
@click.option("--on", "data", help="Labelled data.  [what the first run was trained on]")
@click.option("--label", help="Column of the labels.")
@click.option("--column", help="Column to embed.")
@click.option("--missing", multiple=True, metavar="CELL", help="A missing value, such as NA; repeatable.  [as trained]")
@pair_option
@click.option("--score", help="Column that says how alike the sides are.")
@click.option("--positive", metavar="LABEL",
              help="Label of pairs that belong together.  [of two opposites, such as match and nomatch]")  # fmt: skip
@group_options
@click.option("--protocol", "protocols", multiple=True, help="Such as knn or retrieval; repeatable.  [what fits]")
@click.option("--template", "templates", multiple=True, metavar="TEXT",
              help="Prompt for a class's name, such as 'a picture of a {}', or a file; repeatable.  [{}]")  # fmt: skip
@click.option("--layer", help="features or projection.  [features; of pairs what the method keeps]")
@click.option("--dimensions", type=click.IntRange(1), multiple=True,
              help="Also with the first so many dimensions only; repeatable.")  # fmt: skip
@click.option("--train-split", help="Split to fit probes on.")
@click.option("--test-split", help="Split to score.")
@click.option("--limit", type=click.IntRange(2), help="Use only so many rows of every split.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of splits and draws.")
@click.option(
    "--map", "layout", type=click.Choice(["tsne", "pca", "umap"]), default="tsne", show_default=True,
    help="Of the report.",
)  # fmt: skip
@click.option("--no-floors", is_flag=True, help="Leave out the raw input and the untrained encoder.")
@common
def command(
    runs: tuple[str, ...], data: str | None, label: str | None, column: str | None,
    missing: tuple[str, ...], pair: tuple[tuple[str, ...], ...], score: str | None, positive: str | None,
    group: str | None, group_from: str | None, protocols: tuple[str, ...], templates: tuple[str, ...],
    layer: str | None, dimensions: tuple[int, ...], train_split: str | None, test_split: str | None, limit: int | None,
    seed: int, layout: str, no_floors: bool, as_json: bool, quiet: bool, debug: bool,
) -> None:  # fmt: skip
    """Measure RUNS side by side with floors and intervals: kNN, linear probe and few labels; of pairs, retrieval.

    Probes are fitted on training rows and scored once on test rows. One run's report is written into its folder.
    Runs that differ by their seed alone get a line of mean ± standard deviation; a folder of runs stands for all of
    them.

    \b
    nearfar eval runs/photos --on labelled/
    nearfar eval runs/a runs/b --on labelled/ --protocol knn
    nearfar eval runs/text --on scored.csv --pair first second --score likeness
    """
    from nearfar.cli.classify import templates_of
    from nearfar.evaluation import evaluate
    from nearfar.evaluation.report import of_run
    from nearfar.models import loading

    to = console(as_json, quiet, debug)
    column = columns_of(pair) or column
    reading: dict[str, Any] = {"label": label, "column": column, "score": score}
    reading = {k: v for k, v in reading.items() if v is not None} | grouping(group, group_from)
    reading |= {"missing": missing} if missing else {}
    options: dict[str, Any] = {"protocols": protocols} if protocols else {}
    if templates:
        options["templates"] = templates_of(templates)
    if positive is not None:
        options["positive"] = positive
    models = loading.models(runs)
    models += [model.cut(d) for model in models for d in dimensions]
    evaluation = evaluate.evaluate(
        models, data, layer=layer, train_split=train_split, test_split=test_split, limit=limit, seed=seed,
        floors=not no_floors, console=to, **options, **reading,
    )  # fmt: skip
    to.say("\n" + evaluation.table())
    if len(models) == 1:
        report = of_run.keep(models[0], evaluation, layout=layout, console=to)
        to.say(f"\nReport: {report}")
    to.result(evaluation.as_dict())
