"""`llamacy list`: models from the hub that are on this machine."""

from __future__ import annotations

import sys
from datetime import datetime

from llamacy.cli.options import JSON


def list_models(json: JSON = False) -> None:
    """List the models in the Hugging Face hub's cache."""
    import llamacy

    models = llamacy.cached_models()
    if json:
        from json import dumps

        rows = [
            {
                "name": model.name,
                "path": str(model.path),
                "files": model.files,
                "bytes": model.n_bytes,
                "used": datetime.fromtimestamp(model.used).astimezone().isoformat(),
            }
            for model in models
        ]
        print(dumps(rows, ensure_ascii=False))
        return
    from llamacy.cli.tables import in_units, print_table
    from llamacy.hub.cache import cache_folder

    if not models:
        print(f"no models in {cache_folder()}", file=sys.stderr)
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
