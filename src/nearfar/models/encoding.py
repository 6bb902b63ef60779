"""What `encode` is given and what it gives, the same for a model and for an ensemble."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nearfar.core import checks
from nearfar.core.errors import DataError, UnknownName

if TYPE_CHECKING:
    import numpy as np
    import torch

    from nearfar.core.console import Console
    from nearfar.data.table import Column, Table


def to_encode(
    model: Any, inputs: Any, column: str | None, batch_size: int, console: Console | None
) -> tuple[Table, str]:
    """The inputs as a table of one column, and the model's name of that column.

    Raises
    ------
    ConfigError, UnknownName
        `batch_size` is no whole number of at least 1; the model has no such column, or several and none was named.
    DataError
        The inputs cannot be read, or have several columns.
    """
    from nearfar.data.opening import one_text
    from nearfar.data.single import one_at_a_time

    checks.whole(batch_size, "batch_size", 1)  # before the inputs are read
    name = column or model.only_column()
    if name not in model.columns:
        raise UnknownName("column", name, model.columns)
    inputs = one_text(inputs, model.columns[name][0])
    by_name = column if len(model.columns) > 1 else None  # data of several columns may have one of that name
    table = model.read(inputs, column=name, data_column=by_name, several=False, console=console)
    one_at_a_time(table, inputs)
    return table, name


def check_finite(z: torch.Tensor, column: Column, rows: np.ndarray) -> None:
    """Raise a `DataError` where a row's vector (N, D), or its length, is no finite number."""
    if bool(z.norm().isfinite()):  # of all at once, which is quicker
        return
    broken = ~z.square().sum(1).isfinite()
    if broken.any():
        raise DataError(
            f"the vector of row {rows[int(broken.nonzero()[0])]} of {column.name!r} holds numbers that are not finite "
            "or too large.", hint="The model is broken, or what the row holds is too large for it.",
        )  # fmt: skip
