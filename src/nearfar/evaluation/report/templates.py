"""The report's page, its charts and the model card as Jinja templates."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfar.core import files

if TYPE_CHECKING:
    import jinja2

FOLDER = Path(__file__).parent


def render(template: str, /, **values: Any) -> str:
    """A template of this folder with these values; what is unknown to it is an error."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> jinja2.Environment:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER), autoescape=jinja2.select_autoescape(["html"]), trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
    )  # fmt: skip
    environment.filters |= {"figure": _figure, "data": _data}
    return environment


def _figure(value: Any, digits: int = 3) -> str:
    return f"{value:.{digits}f}" if isinstance(value, int | float) and math.isfinite(value) else "–"


def _data(value: Any) -> str:
    """JSON that is safe inside a script element."""
    import markupsafe

    text = json.dumps(files.finite(value))
    return markupsafe.Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
