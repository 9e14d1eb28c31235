"""`llamacy list`: models from the hub that are on this machine."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.catalogue import catalogue_rows, print_models
from llamacy.cli.options import JSON
from llamacy.printable import printable

if TYPE_CHECKING:
    from llamacy.hub.cache import CachedModel


def list_models(
    every: Annotated[
        bool,
        typer.Option("-a", "--all", help="List those of llamacy models after them."),
    ] = False,
    json: JSON = False,
) -> None:
    """List the models in the Hugging Face hub's cache."""
    import llamacy

    cached = llamacy.cached_models()
    others = [row for row in catalogue_rows() if not row["cached"]] if every else []
    if json:
        from json import dumps

        rows = [*map(_cached_row, cached), *map(_other_row, others)]
        print(dumps(rows, ensure_ascii=False))
        return
    _print(cached)
    if others:
        print_models(others)


def _cached_row(model: CachedModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "path": str(model.path),
        "files": model.files,
        "bytes": model.n_bytes,
        "used": datetime.fromtimestamp(model.used).astimezone().isoformat(),
    }


def _other_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of the catalogue with the keys of a cached model's."""
    empty = {"path": None, "files": [], "bytes": row["file_bytes"], "used": None}
    return {"name": row["name"], **empty}


def _print(models: list[CachedModel]) -> None:
    from llamacy.cli.tables import in_units, print_table
    from llamacy.hub.cache import cache_folder

    if not models:
        hint = "llamacy models lists some to try"
        print(f"no models in {printable(str(cache_folder()))}; {hint}", file=sys.stderr)
        return
    print_table(
        ["name", "file", "size", "used"],
        [
            (
                model.name,
                _first_weights(model.files),
                in_units(model.n_bytes),
                datetime.fromtimestamp(model.used).strftime("%Y-%m-%d %H:%M"),
            )
            for model in models
        ],
        right="size",
    )


def _first_weights(files: tuple[str, ...]) -> str:
    """Return the file to show: the first with weights, not just the first by name."""
    return next((file for file in files if file.endswith(".safetensors")), files[0])
