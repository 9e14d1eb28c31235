"""`llamacy rm`: delete a model from this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from llamacy.cli.completion import model_names
from llamacy.cli.failures import UsageError
from llamacy.cli.options import JSON


def rm(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="Name as shown by llamacy list.",
            autocompletion=model_names,
        ),
    ],
    yes: Annotated[
        bool, typer.Option("-y", "--yes", help="Do not ask for confirmation.")
    ] = False,
    json: JSON = False,
) -> None:
    """Delete a model from the Hugging Face hub's cache.

    Deletes all its files, in all revisions that contain them, and nothing else.
    """
    from llamacy.cli.tables import in_units
    from llamacy.hub.removal import pick_cached, remove

    model = pick_cached(name)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"not removing {model.name} without confirmation: give -y")
        size = in_units(model.n_bytes)
        typer.confirm(f"Remove {model.name} ({size})?", abort=True, err=True)
    n_bytes = remove(model)
    if json:
        from json import dumps

        print(dumps({"name": model.name, "freed": n_bytes}, ensure_ascii=False))
    else:
        print(f"{model.name}: {in_units(n_bytes)} freed")
