"""One file a modality: recognise, decode, views, neutral input, defaults.

A modality is a module with these names; everything else in nearfar meets it through them only. ``cell`` is what
a reader hands over for one row and column: a path, bytes, str, number or array. ``spec`` is a dict of JSON
values that `plan` makes once, that is stored in the run, and that makes new data of the same kind decodable.

===================================================== ==================================================
``NAME``                                              the word in ``config.json``
``recognise(cells) -> float``                         0 … 1: how sure it is, from a few cells
``plan(cells, options) -> spec``                      sizes, channels, statistics; `options` is the data config
``Spec``                                              optional: what a spec has to fit, see `nearfar.core.schema`
``decode(cell, spec) -> (array, geometry | None)``    one cell; raises `BadCell` with the reason in words
``decode_many(cells, spec) -> (array, reasons)``      optional: many cells at once, where that is quicker
``decode_array(values, spec) -> array | None``        optional: a whole array at once, None where it cannot be
``views(values, geometry, recipe, draws, spec)``      one random view of a whole batch, on its device
``neutral(values, geometry, spec) -> tensor``         the batch as the encoder sees it in evaluation
``recipes(name, spec) -> tuple of recipes``           one recipe per view, cycled; `name` as in ``views.recipe``
``takes(transform, spec) -> bool``                    optional: whether ``views.add`` may add it; without it none
``MILD``                                              optional: recipe of a column whose rows have another
``default_recipe(spec) -> str``                       the recipe's name when the user does not choose
``default_encoder(spec) -> str``                      likewise
``encoder_shape(spec) -> dict``                       keyword arguments for the encoder's ``build``
``raw_features(values, spec) -> ndarray (N, F)``      the raw input as numbers, for the floor
``thumbnail(values, geometry, spec) -> PIL.Image``    one row as a small picture, for sheets and reports
``drawn(view, spec) -> PIL.Image``                     optional: a view as the encoder takes it, as a small picture
``audible(values, spec) -> bytes``                     optional: one row as a WAV file, to be heard in reports
``describe(spec) -> str``                             "32 × 32 colour pictures"
``reading(spec) -> dict``                             optional: the knobs of `DataConfig` that it answers, with values
``lengths(cells, values, spec) -> int32 (N,)``        optional: how long each cell is, where `decode` may cut it
``too_long(name, lengths, most) -> str | None``       optional: beside it, what to say of longer ones
``known(cells) -> dict``                               optional: further arguments of an encoder's ``setup``
``doubts(name, cells) -> list of str``                optional: which cells are read as something else than they say
``extent(cell) -> int``                               optional: how many steps a cell has that may be cut into windows
``part(cell, start, stop)``                           optional: beside it, some steps of a cell, without a copy
``FIXED``                                             optional: name and weight of features beside trained ones
``DEFAULT_METHOD``, ``GENERAL``                       optional: the method of one column, see `nearfar.training.plan`
===================================================== ==================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


def reading(modality: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The knobs of `DataConfig` that say how cells with this spec were read, with their values."""
    from nearfar.core.registry import MODALITIES

    return getattr(MODALITIES.get(modality), "reading", lambda spec: {})(spec)


def of_kind(kind: str) -> tuple[Callable[[str, Mapping[str, Any]], tuple[Any, ...]], Callable[[Any, Any], bool]]:
    """``recipes`` and ``takes`` of a modality whose transforms are all of one kind, such as "rows"."""

    def recipes(name: str, spec: Mapping[str, Any]) -> tuple[Any, ...]:
        from nearfar.transforms.recipes import for_kind

        return for_kind(name, kind)

    return recipes, lambda transform, spec: transform.kind == kind
