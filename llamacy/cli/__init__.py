"""The command line: one file per command, built on the public API.

Commands import the library only when they run, so that `--help` is fast.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from typing import Annotated

import typer

from llamacy.cli.batch import batch
from llamacy.cli.bench import bench
from llamacy.cli.catalogue import models
from llamacy.cli.completion import completion, prepare_completion
from llamacy.cli.convert import convert
from llamacy.cli.doctor import doctor
from llamacy.cli.embed import embed
from llamacy.cli.failures import Commands
from llamacy.cli.foreign_options import Command, ModelCommand
from llamacy.cli.imatrix import imatrix
from llamacy.cli.info import info
from llamacy.cli.list_models import list_models
from llamacy.cli.perplexity import perplexity
from llamacy.cli.process import prepare
from llamacy.cli.pull import pull
from llamacy.cli.quantize import QuantizeCommand, quantize
from llamacy.cli.rerank import rerank
from llamacy.cli.rm import rm
from llamacy.cli.run import run
from llamacy.cli.score import score
from llamacy.cli.serve import serve
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
for command in (run, serve, batch, embed, rerank, score, perplexity, imatrix):
    app.command(cls=ModelCommand)(command)
for command in (info, show, tokenize, convert):
    app.command(cls=Command)(command)
app.command(cls=QuantizeCommand)(quantize)
app.command(cls=ModelCommand)(bench)
for command in (pull, models, doctor):
    app.command(cls=Command)(command)
app.command("list", cls=Command)(list_models)
app.command("ls", cls=Command, hidden=True)(list_models)
app.command(cls=Command)(rm)
app.command(cls=Command)(completion)


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
    """Run the command line in `sys.argv`: the entry point of `llamacy`."""
    prepare()
    prepare_completion()
    # Silence huggingface_hub's notices; failed transfers are reported as errors anyway.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    logging.basicConfig(format="llamacy: %(message)s", level=logging.WARNING)
    with contextlib.suppress(KeyboardInterrupt):
        app(prog_name="llamacy")
    sys.exit(130)
