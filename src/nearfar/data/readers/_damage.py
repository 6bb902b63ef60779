"""What a library raises about a damaged file, as one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearfar.core.errors import DataError, NearfarError, reason
from nearfar.data.readers import _encoding


@contextmanager
def damage(path: Path, kind: str, hint: str | None = None) -> Iterator[None]:
    """Around the calls of a library that read a file, which on damaged bytes may raise anything.

    Raises
    ------
    DataError
        It raised something, other than that the file may not be read.
    """
    try:
        yield
    except (NearfarError, PermissionError):
        raise
    except MemoryError as e:
        raise DataError("needs more memory than there is, or is damaged.", where=str(path)) from e
    except Exception as e:
        hint = _encoding.HINT.format("latin1") if isinstance(e, UnicodeDecodeError) else hint
        raise DataError(f"cannot be read as {kind} ({reason(e)}).", where=str(path), hint=hint) from e
