"""The command line: one file per command, and nothing a script could not do itself.

Commands import the library only when they run, so that ``--help`` is quick.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from llamacy.cli.bench import bench
from llamacy.cli.convert import convert
from llamacy.cli.failures import Commands
from llamacy.cli.info import info
from llamacy.cli.quantize import quantize
from llamacy.cli.run import run
from llamacy.cli.score import score
from llamacy.cli.show import show
from llamacy.cli.tokenize import tokenize

__all__ = ["app", "main"]

app = typer.Typer(
    name="llamacy",
    cls=Commands,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (run, score, info, show, tokenize, quantize, convert, bench):
    app.command()(command)


@app.callback()
def _program(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.")
    ] = False,
) -> None:
    """Language models on the CPU you already have."""
    if version:
        import llamacy

        print(llamacy.__version__)
    elif context.invoked_subcommand is None:
        print(context.get_help(), end="")


def main() -> None:
    """Run the command line in ``sys.argv``: the entry point of ``llamacy``."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows another in its place.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    logging.basicConfig(format="llamacy: %(message)s", level=logging.WARNING)
    with contextlib.suppress(KeyboardInterrupt):
        app(prog_name="llamacy")
    sys.exit(130)
