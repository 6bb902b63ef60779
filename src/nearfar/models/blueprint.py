"""Networks as a config describes them, compared with the tensors of a file before any memory is taken.

A run folder may come from anyone: its config may describe networks of any size. They are built on torch's device
"meta", where a tensor is a shape without numbers, and only if the file holds the same tensors, in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nearfar.core.config import Config
from nearfar.core.errors import NearfarError, RunError, reason
from nearfar.methods import record
from nearfar.models import branches, room

if TYPE_CHECKING:
    from nearfar.models.branches import Branches

NUMBERS = "numbers/"  # prefix of learnt numbers among the weights
LEFT_OUT = 2**28  # numbers of tables that are in no file, such as masks
BUILT_AND_LEFT = 4, 1000  # networks are built with parts that are then dropped: so many times as much, and more
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
            with room.unfilled(), self._bounded(len(header)):
                self.drawn = self.build()
        except RunError:
            raise
        except Exception:  # some look at numbers while they are built
            self.drawn = self._made(header)
        if sum(t.numel() for t in _left_out(self.drawn)) > LEFT_OUT:
            raise RunError("config.json describes networks with tables that no memory holds.", where=self.where,
                           hint=HINT)  # fmt: skip
        return {name: t.to("meta") for name, t in self.drawn.state_dict().items()}

    def filled(self, weights: Header) -> nn.Module:
        """The networks with these weights, whose names and shapes have been compared with `tensors`."""
        networks = self.drawn
        if any(t.is_meta for t in _left_out(networks)):
            networks = self._made(weights)
        elif any(t.is_meta for t in networks.state_dict().values()):
            networks = networks.to_empty(device="cpu")
        networks.load_state_dict(weights)
        with self._as_run_error("do not work"):
            for module in networks.modules():
                if hasattr(module, "probe"):
                    module.probe()
        return networks

    def _made(self, held: Header) -> nn.Module:
        """The networks in memory, of about as many numbers as the file has."""
        with self._as_run_error("cannot be built"), self._bounded(len(held), sum(t.numel() for t in held.values())):
            return self.build()

    def _bounded(self, count: int, numbers: float = float("inf")) -> Any:
        times, more = BUILT_AND_LEFT
        message = f"holds {count:,} tensors, and config.json describes networks of far more or far larger ones."
        error = partial(RunError, message, where=self.where, hint=HINT)
        return room.bounded(times * count + more, times * numbers + 2**20, error)

    @contextmanager
    def _as_run_error(self, what: str) -> Iterator[None]:
        try:
            yield
        except NearfarError:
            raise
        except Exception as e:  # whatever a library raises
            raise RunError(f"the networks that config.json describes {what}: {reason(e)}.", where=self.where,
                           hint=HINT) from e  # fmt: skip


def described(stored: Mapping[str, Any], where: str) -> tuple[Blueprint, Config, Columns]:
    """The networks that ``config.json``, or a member in it, describes, its config, and modality and spec by column."""
    config = Config.from_dict(stored["config"])
    columns = {n: (c["modality"], c["spec"]) for n, c in stored["columns"].items()}
    return Blueprint(partial(branches.fresh, config, columns), where), config, columns


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

    def shown(tensor: torch.Tensor) -> str:
        return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"

    for name, tensor in wanted.items():
        if name not in held:
            raise RunError(f"the weight {name} is missing.", where=where, hint=HINT)
        if shown(held[name]) != shown(tensor):
            message = f"the weight {name} is {shown(held[name])}, and {shown(tensor)} by config.json."
            raise RunError(message, where=where, hint=HINT)
    if more := [name for name in held if name not in wanted]:
        raise RunError(f"holds {more[0]}, and config.json describes no such weight.", where=where, hint=HINT)


def _left_out(networks: nn.Module) -> Iterator[torch.Tensor]:
    """Tensors of networks that no file of weights holds: only building can give them."""
    held = networks.state_dict(keep_vars=True)
    yield from (t for name, t in networks.named_buffers(remove_duplicate=False) if name not in held)
    for module in networks.modules():
        for value in vars(module).values():
            values = value if isinstance(value, list | tuple) else (value,)
            yield from (t for t in values if isinstance(t, torch.Tensor) and not isinstance(t, nn.Parameter))
