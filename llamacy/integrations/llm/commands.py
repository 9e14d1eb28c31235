"""The commands ``llm llamacy ...``: which models `llm` offers."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click
import llm

import llamacy
from llamacy import LlamacyError
from llamacy.integrations.llm.sources import add, added, remove, sources


@llm.hookimpl
def register_commands(cli: click.Group) -> None:
    """Add the commands to `llm`."""

    @cli.group(name="llamacy")
    def commands() -> None:
        """Local models that llamacy runs."""

    commands.add_command(_models)
    commands.add_command(_add)
    commands.add_command(_remove)


def _told(call: Callable[..., None]) -> Callable[..., None]:
    """Print llamacy's errors as `llm` prints errors, without a traceback."""

    @wraps(call)
    def told(*args: Any, **options: Any) -> None:
        try:
            call(*args, **options)
        except LlamacyError as error:
            raise click.ClickException(str(error)) from error

    return told


@click.command("models")
@_told
def _models() -> None:
    """List the models, and where they are."""
    added()  # an error of the list is told here, where `sources` only logs it
    for name, source in sources().items():
        click.echo(f"llamacy/{name}" + (f": {source}" if source != name else ""))


@click.command("add")
@click.argument("source")
@click.option("--name", help="Its name in llm; by default the file's")
@_told
def _add(source: str, name: str | None) -> None:
    """Offer a model: a GGUF file, a folder, or a name on the hub, which is fetched."""
    llamacy.inspect(source)
    click.echo(f"llamacy/{add(source, name)}")


@click.command("remove")
@click.argument("name")
@_told
def _remove(name: str) -> None:
    """Take an added model off the list; its file stays."""
    if not remove(name.removeprefix("llamacy/")):
        listed = ", ".join(added()) or "none"
        raise click.ClickException(f"wanted one of the added models ({listed})")
