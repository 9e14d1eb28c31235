"""`llamacy models`: models to try, with the memory that each needs."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from llamacy.cli.options import JSON

_N_CTX = 4096
_NAME_WIDTH = 50  # columns


def models(
    n_ctx: Annotated[
        int,
        typer.Option(
            "-c",
            "--ctx-size",
            min=0,
            metavar="N",
            help="Context size to compute memory for; 0 uses each model's own.",
        ),
    ] = _N_CTX,
    json: JSON = False,
) -> None:
    """List models to try: names on the hub, memory needed, and whether they fit here.

    The memory is about that of a process with the model and one text that fills the
    context; `llamacy show` computes it for a file.
    """
    rows = catalogue_rows(n_ctx)
    if json:
        from json import dumps

        print(dumps(rows, ensure_ascii=False))
        return
    print_models(rows)


def catalogue_rows(n_ctx: int = _N_CTX) -> list[dict[str, Any]]:
    """Return the catalogue's models, keys as in the JSON output."""
    import llamacy
    from llamacy.cli.fitting import fits
    from llamacy.hub.catalogue import CATALOGUE
    from llamacy.system.memory import available_memory

    available = available_memory()
    try:
        cached = {model.name for model in llamacy.cached_models()}
    except llamacy.ModelFileError:  # a cache that cannot be read has none of them
        cached = set()
    rows = []
    for model in CATALOGUE:
        needed = model.memory_bytes(n_ctx or model.n_ctx_train)
        rows.append(
            {
                "name": model.name,
                "architecture": model.architecture,
                "n_params": model.n_params,
                "file_bytes": model.n_bytes,
                "n_ctx": n_ctx or model.n_ctx_train,
                "n_ctx_train": model.n_ctx_train,
                "memory_bytes": needed,
                "available_bytes": available,
                "fits": fits(needed, available),
                "license": model.license,
                "purpose": model.purpose,
                "tried": model.tried,
                "cached": model.name in cached,
            }
        )
    return rows


def print_models(rows: list[dict[str, Any]]) -> None:
    """Print rows, two lines a model, so that a narrow terminal shows whole names."""
    from llamacy.cli.fitting import YES_OR_NO
    from llamacy.cli.tables import in_units

    for row in rows:
        memory = in_units(row["memory_bytes"])
        here = ", in the cache" if row["cached"] else ""
        fits = f"fits here: {YES_OR_NO[row['fits']]}{here}"
        tried = f" ({row['tried']})" if row["tried"] else ""
        print(f"{row['name']:<{_NAME_WIDTH}} {memory:>9}  {fits}")
        print(f"    {row['purpose']}{tried}")
        print(
            f"    {row['n_params'] / 1e9:.2g} B parameters, "
            f"{in_units(row['file_bytes'])} file, licence {row['license']}"
        )
    contexts = {row["n_ctx"] for row in rows}
    context = f"{contexts.pop():,} tokens" if len(contexts) == 1 else "its own length"
    print()
    print(f"Memory: about that of the model and a context of {context} (-c N).")
    print("Names, sizes and licences are those of the repositories in 2026.")
    print("Models were tried with llamacy only where their lines say so.")
    print('llamacy pull NAME fetches a model, llamacy run NAME "..." asks it.')
