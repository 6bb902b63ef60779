"""The command. One file a verb, here or among plug-ins; it defines ``command`` and imports nothing heavy at its top.

A verb's file holds its options and one call. The function that it calls is public under the verb's name, but for those
that ``nearfar.RENAMED`` lists, and has arguments of the options' names. It gives a result, whose repr is what people
read and whose ``as_dict`` is what ``--json`` prints.
"""

from __future__ import annotations

import functools
import json
import os
import shlex
import signal
import sys
from typing import Any, NoReturn

import click

from nearfar.core import registry
from nearfar.core.console import Console
from nearfar.core.errors import (
    EXIT_FAILURE,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    EXIT_USAGE,
    ConfigError,
    NearfarError,
    NearfarWarning,
    UserError,
    kind_of,
)
from nearfar.core.names import visible
from nearfar.core.registry import VERBS
from nearfar.core.version import __version__

# Help lists the verbs in the order in which people need them; a verb that is not named here comes after.
ORDER = (
    "demo", "train", "eval", "tune", "search", "recommend", "anomalies", "embed", "classify", "views", "methods",
    "config", "doctor",
)  # fmt: skip


class Verbs(click.Group):
    """The verbs are the files of this folder, and plug-ins."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs."""
        return [v for v in ORDER if v in VERBS] + [v for v in VERBS if v not in ORDER]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """One verb."""
        return VERBS.get(name).command if name in VERBS else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """The verb that was typed; proposes the nearest for one that does not exist."""
        from nearfar.core.errors import nearest

        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            near = nearest(args[0], self.list_commands(ctx))
            hint = f"Did you mean {' or '.join(near)}?" if near else f"There are: {', '.join(self.list_commands(ctx))}."
            raise click.UsageError(f"there is no verb {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)


def options(*several: Any) -> Any:
    """One decorator of several, in the order in which ``--help`` lists their options."""
    return lambda function: functools.reduce(lambda f, option: option(f), reversed(several), function)


# The options that every verb has.
common = options(
    click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object on stdout."),
    click.option("-q", "--quiet", is_flag=True, help="Print only warnings and errors."),
    click.option("--debug", is_flag=True, help="Print the traceback of an error."),
)


def console(as_json: bool, quiet: bool, debug: bool) -> Console:
    """The console of a verb; `debug` was already looked for when errors are shown."""
    return Console(quiet=quiet, json=as_json)


def verb(function: Any) -> Any:
    """A verb whose function takes a console and gives a result, which is printed."""

    @functools.wraps(function)
    def call(as_json: bool, quiet: bool, debug: bool, **given: Any) -> int:
        to = console(as_json, quiet, debug)
        try:
            result = function(console=to, **given)
        except UserError as e:
            if given.get("pair") and e.where == "--column":  # functions know a pair as its columns
                e.where = "--pair"
            raise
        to.say(str(result))
        to.result(result.as_dict())
        return getattr(result, "exit_status", 0)

    return common(call)


def given(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {k: v for k, v in options.items() if v not in (None, ())}


def typed() -> str:
    """What was typed, for the records of a run."""
    return shlex.join(["nearfar", *sys.argv[1:]])


CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.command(cls=Verbs, context_settings=CONTEXT, no_args_is_help=True)
@click.version_option(__version__, prog_name="nearfar")
def cli() -> None:
    """Train embeddings by contrast, measure them honestly, and use them.

    \b
    nearfar demo                          see it work, on digits that need no download
    nearfar train photos/ --out runs/a    learn an embedding, without labels
    nearfar eval runs/a --on labelled/    measure it, with floors beside every figure
    nearfar search runs/a query.jpg       find what is near

    Wherever a RUN is taken, a pretrained model may be named too: st:FOLDER, transformers:NAME, timm:NAME.
    """


def main() -> NoReturn:
    """Run the command; errors are sentences, exit statuses are those of `nearfar.core.errors`."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal may not have every character
    sys.exit(run(sys.argv[1:]))


def run(args: list[str]) -> int:
    """Run the command with `args` and give its exit status."""
    import warnings

    warnings.simplefilter("ignore", NearfarWarning)  # the console has printed it
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        if any("\0" in a for a in args):
            raise UserError("an argument holds the character NUL, which no name can hold.")
        return cli.main(args, prog_name="nearfar", standalone_mode=False) or 0
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _fail(args, NearfarError("stopped."), EXIT_INTERRUPTED)
    except _Terminated:
        return _fail(args, NearfarError("terminated."), EXIT_TERMINATED)
    except click.ClickException as e:
        return _fail(args, NearfarError(_sentence(e)), EXIT_USAGE, kind="UsageError")
    except NearfarError as e:
        return _fail(args, e, e.exit_code)
    except BrokenPipeError:  # whoever read stdout has gone; Python would complain again when it closes it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILURE
    except OSError as e:
        kind, path = kind_of(e), e.filename
        where = os.fsdecode(path) if isinstance(path, str | bytes) else None  # a number where it is an open file
        return _fail(args, kind(f"{e.strerror or e}.", where=where), kind.exit_code)
    except Exception as e:
        plugin = registry.line_of_plugin(e)
        kind, whose = (ConfigError, "the plug-in") if plugin else (NearfarError, "nearfar")
        fault = kind(f"{type(e).__name__}: {e}.", where=plugin, hint=f"This is a fault of {whose}; --debug shows more.")
        return _fail(args, fault, fault.exit_code)
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(BaseException):
    pass


def _terminated(*_: object) -> None:
    raise _Terminated


def _sentence(e: click.ClickException) -> str:
    where = f" See `{e.ctx.command_path} --help`." if isinstance(e, click.UsageError) and e.ctx else ""
    text = e.format_message()
    return f"{text}{'' if text.endswith(('.', '?')) else '.'}{where}"


def _fail(args: list[str], e: NearfarError, code: int, kind: str | None = None) -> int:
    if "--debug" in args and sys.exc_info()[0] is not None:
        import traceback

        sys.stderr.write(visible(traceback.format_exc(), keep="\n"))
    sys.stderr.write(f"nearfar: {visible(str(e), keep=chr(10))}\n")
    if "--json" in args:
        error = e.as_dict() | ({"kind": kind} if kind else {})
        sys.stdout.write(json.dumps({"schema": 1, "error": error}) + "\n")
    return code
