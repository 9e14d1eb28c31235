"""`llamacy rm`: one model less on this machine."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.options import JSON


def rm(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="As llamacy list shows it.")
    ],
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")] = False,
    json: JSON = False,
) -> None:
    """Remove a model from the cache of the Hugging Face hub.

    All its files go, in all revisions that have them, and nothing else.
    """
    from llamacy.cli.tables import in_units
    from llamacy.hub.removal import pick_cached, remove

    model = pick_cached(name)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"not removing {model.name} without asking: give -y")
        size = in_units(model.n_bytes)
        typer.confirm(f"Remove {model.name} ({size})?", abort=True, err=True)
    n_bytes = remove(model)
    if json:
        from json import dumps

        print(dumps({"name": model.name, "freed": n_bytes}, ensure_ascii=False))
    else:
        print(f"{model.name}: {in_units(n_bytes)} freed")
