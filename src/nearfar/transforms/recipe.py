"""A recipe is data: a tuple of transforms. Here it is applied to a batch, described and changed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F

from nearfar.core.errors import ConfigError, UnknownName
from nearfar.core.registry import TRANSFORMS
from nearfar.core.values import of_kind
from nearfar.core.values import override as override_record
from nearfar.transforms.draws import Draws
from nearfar.transforms.frame import side
from nearfar.transforms.image.resample import as_float, sample, sample_aligned, sample_shrunk

Recipe = tuple[Any, ...]


CHUNK = 2**21  # numbers of a piece of the batch: its few buffers stay in the processor's cache, and malloc keeps them


def apply(
    recipe: Recipe, values: torch.Tensor, draws: Draws, *, geometry: torch.Tensor | None = None,
    size: int | None = None, finish: Callable[[torch.Tensor], torch.Tensor] | None = None,
    memory_format: torch.memory_format = torch.contiguous_format,
) -> torch.Tensor:  # fmt: skip
    """One random view of each image.

    Parameters
    ----------
    recipe : tuple of transforms
    values : Tensor (N, C, H, W)
        uint8, or float in [0, 1].
    draws : Draws
    geometry : Tensor (N, 2), optional
        Original height and width of images that are stored squeezed to a square; shapes are meant in the original.
    size : int, optional
        Side of the view in pixels, of which a `Frame` in the recipe takes its share; the image's own by default.
    finish : callable, optional
        What still happens to every image by itself, such as standardisation; it may write into its argument.
    memory_format : torch.memory_format
        Of the result.

    Returns
    -------
    Tensor (N, C, size, size), float32 in [0, 1] before `finish`

    Notes
    -----
    Consecutive geometric transforms become one resampling (bilinear; shrinking is averaged, so it does not alias),
    consecutive colour transforms one matrix product, cut to [0, 1] at its end. On a processor the batch goes through
    in pieces that fit its cache; what is drawn does not depend on that.
    """
    size = side(recipe, size or values.shape[-1])
    if draws.batch is None and len(draws) == draws.total:
        draws.batch = lambda: values
    rows = len(values)
    if values.device.type == "cpu":
        _keep_memory()
        rows = max(1, CHUNK // (values.shape[1] * max(size, values.shape[-1]) ** 2))
    out = values.new_empty(0)
    for part, drawn in draws.parts(max(1, rows)):
        views = _chain(recipe, values[part], drawn, None if geometry is None else geometry[part], size)
        views = views if finish is None else finish(views)
        if len(views) == len(values):
            return views.contiguous(memory_format=memory_format)
        if not part.start:
            shape = (len(values), *views.shape[1:])
            out = torch.empty(shape, dtype=views.dtype, device=views.device, memory_format=memory_format)
        out[part] = views
    return out


@cache
def _keep_memory() -> None:
    """Let malloc keep up to 62 MB that is free instead of handing it back, once per process.

    glibc hands freed memory back and fetches it again page by page, which took half of a chain's time. Having freed
    a block of nearly 32 MB (its pages are never touched) tells it to expect such blocks: mallopt(3), M_MMAP_THRESHOLD.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def _chain(
    recipe: Recipe, values: torch.Tensor, draws: Draws, geometry: torch.Tensor | None, size: int
) -> torch.Tensor:
    images = as_float(values)
    for kind, group in _stages(recipe):
        if kind == "geometry":
            images = _resample(images, group, draws, geometry, size)
        elif kind == "colour":
            images = _recolour(images, group, draws)
        elif kind == "pixels":
            for transform in group:
                images = transform.apply(images, draws)
    if images.shape[-1] != size:
        images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
    return images


def _stages(recipe: Recipe) -> list[tuple[str, list[Any]]]:
    stages: list[tuple[str, list[Any]]] = []
    for transform in recipe:
        if not stages or stages[-1][0] != transform.kind:
            stages.append((transform.kind, []))
        stages[-1][1].append(transform)
    return stages


def _resample(
    images: torch.Tensor, group: list[Any], draws: Draws, geometry: torch.Tensor | None, size: int
) -> torch.Tensor:
    matrix = group[0].matrix(draws, geometry)
    for transform in group[1:]:
        matrix = matrix @ transform.matrix(draws, geometry)
    fill = next((t.fill for t in reversed(group) if hasattr(t, "fill")), None)
    # Below 64 pixels one grid is as quick as two axes apart.
    if all(getattr(t, "aligned", False) for t in group) and (size < images.shape[-1] or size >= 64):
        return sample_aligned(images, matrix, size, fill)
    projective = any(getattr(t, "projective", False) for t in group)
    shrinks = size < images.shape[-1] or any(getattr(t, "shrinks", False) for t in group)
    return (sample_shrunk if shrinks else sample)(images, matrix, size, fill or "reflection", projective)


def _recolour(images: torch.Tensor, group: list[Any], draws: Draws) -> torch.Tensor:
    mean = images.mean((2, 3))
    n, channels = mean.shape
    linear, offset = torch.eye(channels, device=mean.device).expand(n, -1, -1), mean.new_zeros(n, channels, 1)
    for transform in group:
        matrix = transform.matrix(draws, mean)
        step, moved = matrix[:, :, :channels], matrix[:, :, channels:]
        linear, offset = step @ linear, step @ offset + moved
        mean = (step @ mean[:, :, None] + moved)[:, :, 0]
    across = not images.is_contiguous() and images.mT.is_contiguous()  # as `sample_aligned` leaves them
    pixels = images.mT if across else images
    pixels = torch.baddbmm(offset, linear, pixels.flatten(2)).clamp_(0, 1).view_as(pixels)
    return pixels.mT if across else pixels


# --- recipes as data ------------------------------------------------------------------------------------------

ORDER = ("frame", "geometry", "colour", "pixels")  # of the kinds of transforms that a recipe of pictures has
OF_SOUNDS = ("waveform", "spectrogram")  # likewise
WHERE = "views.overrides"


def kinds() -> dict[str, type]:
    """Every transform by name: ``crop`` → `Crop`."""
    return {name: kind(name) for name in TRANSFORMS}


def kind(name: str) -> type:
    """The transform that a file defines.

    Raises
    ------
    UnknownName, ConfigError
        There is no such file, or no frozen dataclass with a ``kind`` in it.
    """
    module = TRANSFORMS.get(name)
    for _, member in inspect.getmembers(module, inspect.isclass):
        own = member.__module__ == module.__name__ and hasattr(member, "kind")
        if own and is_dataclass(member) and member.__dataclass_params__.frozen:
            return member
    raise ConfigError("is not a transform: it defines no frozen dataclass with a kind.", where=module.__file__)


def name_of(transform: Any) -> str:
    """What a transform is called: the name of its file."""
    return type(transform).__module__.rpartition(".")[2]


def added(recipe: Recipe, transforms: Sequence[Any]) -> Recipe:
    """The recipe with transforms of other names than it has: each after the others of its kind, kinds in their order.

    Consecutive transforms of geometry are one resampling and those of colour one product, so these come before what
    changes pixels one by one.
    """
    place = {kind: i for kinds in (ORDER, OF_SOUNDS) for i, kind in enumerate(kinds)}
    here = {name_of(t) for t in recipe}
    new = [t for t in transforms if name_of(t) not in here]
    return tuple(sorted((*recipe, *new), key=lambda t: place.get(t.kind, 0))) if new else recipe


def override(recipes: tuple[Recipe, ...], changes: Mapping[str, Mapping[str, Any]]) -> tuple[Recipe, ...]:
    """The recipes with some numbers changed: ``{"crop": {"scale": [0.3, 1]}}``; None removes a transform.

    Raises
    ------
    UnknownName, ConfigError
        A transform is in none of the recipes, or has no such number, or it cannot have that value.
    """
    here = {name_of(t): t for recipe in recipes for t in recipe}
    for name in changes:
        if name not in here:
            raise UnknownName("transform in this recipe", name, here, where=WHERE)
    changed = [[_changed(t, changes.get(name_of(t), {})) for t in recipe] for recipe in recipes]
    return tuple(tuple(t for t in recipe if t is not None) for recipe in changed)


def _changed(transform: Any, numbers: Mapping[str, Any] | None) -> Any:
    """A transform with some of its numbers changed; None where it is to be left out."""
    where = f"{WHERE}.{name_of(transform)}"
    if numbers is None:
        return None
    try:
        return override_record(transform, of_kind(dict, numbers, where), where)
    except ValueError as e:  # of a transform whose numbers do not fit each other
        raise ConfigError(f"{e}.", where=where) from e


def describe(recipe: Recipe) -> list[str]:
    """One line per transform: its name and numbers."""
    return [f"{name_of(t)} " + ", ".join(f"{k} {_short(v)}" for k, v in asdict(t).items()) for t in recipe]


def _short(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(_short(v) for v in value)})"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def summary(recipes: Sequence[Recipe]) -> str:
    """The transforms of the views by name, in one line: ``crop, flip, jitter``."""
    lines = [", ".join(map(name_of, recipe)) or "unchanged" for recipe in recipes]
    if len(set(lines)) == 1:
        return lines[0]
    return "; ".join(f"{lines.count(line)} × {line}" for line in dict.fromkeys(lines))
