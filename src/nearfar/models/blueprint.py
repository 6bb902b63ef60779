"""Networks as a config describes them, compared with the tensors of a file before any memory is taken.

A run folder may be a stranger's: its config may describe networks of any size. They are built on torch's device
"meta", where a tensor is a shape without numbers, and only if the file holds the same tensors, in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from nearfar.core.errors import NearfarError, RunError, reason
from nearfar.methods import record
from nearfar.models import branches, room

if TYPE_CHECKING:
    from nearfar.core.config import Config
    from nearfar.models.branches import Branches
    from nearfar.models.run import Run

NUMBERS = "numbers/"  # what learnt numbers are called among the weights
LEFT_OUT = 2**28  # numbers of tables that are in no file, such as masks
BUILT_AND_LEFT = 4, 1000  # networks are built with parts that are then put aside: so many times as much, and more
HINT = "The folder is damaged, or its files are not of one training."

Header = Mapping[str, torch.Tensor]  # tensors without numbers, by name
Columns = dict[str, tuple[str, Mapping[str, Any]]]


class Blueprint:
    """Networks that are built when it is known that they fit.

    Parameters
    ----------
    build : callable
        Gives the networks with any weights.
    where : str
        The file of their weights, for messages.

    Attributes
    ----------
    drawn : nn.Module or None
        The networks as `tensors` built them, mostly without numbers.
    """

    def __init__(self, build: Callable[[], nn.Module], where: str) -> None:
        self.build, self.where = build, where
        self.drawn: nn.Module | None = None

    def tensors(self, header: Header) -> dict[str, torch.Tensor]:
        """The tensors of the networks, without numbers.

        Parameters
        ----------
        header : mapping of str to tensor
            What the file holds: networks of many more tensors are not built to the end.

        Raises
        ------
        RunError
            The networks have many more tensors, or cannot be built.
        """
        try:
            with room.unfilled(), _bounded(self.where, len(header)):
                self.drawn = self.build()
        except RunError:
            raise
        except Exception:  # some look at numbers while they are built
            self.drawn = self._made(sum(t.numel() for t in header.values()), len(header))
        if sum(t.numel() for t in _left_out(self.drawn)) > LEFT_OUT:
            raise RunError("config.json describes networks with tables that no memory holds.", where=self.where,
                           hint=HINT)  # fmt: skip
        return {name: t.to("meta") for name, t in self.drawn.state_dict().items()}

    def filled(self, weights: Header) -> nn.Module:
        """The networks with these weights, whose names and shapes have been compared with `tensors`."""
        networks = self.drawn
        if any(t.is_meta for t in _left_out(networks)):
            networks = self._made(sum(t.numel() for t in weights.values()), len(weights))
        elif any(t.is_meta for t in networks.state_dict().values()):
            networks = networks.to_empty(device="cpu")
        networks.load_state_dict(weights)
        with self._told("do not work"):
            for module in networks.modules():
                if hasattr(module, "probe"):
                    module.probe()
        return networks

    def _made(self, numbers: int, count: int) -> nn.Module:
        with self._told("cannot be built"), _bounded(self.where, count, numbers):
            return self.build()

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """What a library raises as a `RunError`."""
        try:
            yield
        except NearfarError:
            raise
        except Exception as e:
            raise RunError(f"the networks that config.json describes {what}: {reason(e)}.", where=self.where,
                           hint=HINT) from e  # fmt: skip


def described(run: Run, where: Path | None = None) -> tuple[Blueprint, Config, Columns]:
    """The networks that a run's ``config.json`` describes, its config, and modality and spec of each column."""
    from nearfar.core.config import Config

    stored = run.config
    config = Config.from_dict(stored["config"])
    columns = {n: (c["modality"], c["spec"]) for n, c in stored["columns"].items()}
    return Blueprint(partial(branches.fresh, config, columns), str(where or run.model_file)), config, columns


def expected(networks: Blueprint, header: Header) -> dict[str, torch.Tensor]:
    """What a file must hold for networks, by name: their tensors, and beside them whatever numbers were learnt."""
    number = torch.empty((), dtype=torch.float64, device="meta")
    return {**dict.fromkeys((k for k in header if k.startswith(NUMBERS)), number), **networks.tensors(header)}


def check(networks: Blueprint, header: Header) -> None:
    """Raise `RunError` where a file holds anything but what is `expected`."""
    compare(header, expected(networks, header), networks.where)


def widths(config: Config, networks: Branches, layer: str) -> list[int]:
    """Dimensions of a layer, by branch."""
    head = record.resolve(config.model.method, config.method).head
    return [head.out if head and layer == "projection" else b.out_features for b in networks.values()]


def compare(held: Header, wanted: Header, where: str) -> None:
    """Raise `RunError` where the tensors of a file are not exactly those that are wanted."""
    for name, tensor in wanted.items():
        if name not in held:
            raise RunError(f"the weight {name} is missing.", where=where, hint=HINT)
        if _shown(held[name]) != _shown(tensor):
            raise RunError(
                f"the weight {name} is {_shown(held[name])}, and {_shown(tensor)} by config.json.", where=where,
                hint=HINT,
            )  # fmt: skip
    if more := [name for name in held if name not in wanted]:
        raise RunError(f"holds {more[0]}, and config.json describes no such weight.", where=where, hint=HINT)


def _shown(tensor: torch.Tensor) -> str:
    """Type and shape of a tensor, for a sentence."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


@contextmanager
def _bounded(where: str, count: int, numbers: float = float("inf")) -> Iterator[None]:
    """While networks are built, raise `RunError` for many more parameters than a file has tensors and numbers."""
    times, more = BUILT_AND_LEFT
    left, me = [times * count + more, times * numbers + 2**20], threading.get_ident()

    def seen(_: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        if parameter is None or threading.get_ident() != me:
            return
        left[0] -= 1
        left[1] -= parameter.numel()
        if min(left) < 0:
            raise RunError(
                f"holds {count:,} tensors, and config.json describes networks of far more or far larger ones.",
                where=where, hint=HINT,
            )  # fmt: skip

    handle = register_module_parameter_registration_hook(seen)
    try:
        yield
    finally:
        handle.remove()


def _left_out(networks: nn.Module) -> Iterator[torch.Tensor]:
    """Tensors of networks that no file of weights holds: only building can give them."""
    held = networks.state_dict(keep_vars=True)
    yield from (t for name, t in networks.named_buffers(remove_duplicate=False) if name not in held)
    for module in networks.modules():
        for value in vars(module).values():
            values = value if isinstance(value, list | tuple) else (value,)
            yield from (t for t in values if isinstance(t, torch.Tensor) and not isinstance(t, nn.Parameter))
