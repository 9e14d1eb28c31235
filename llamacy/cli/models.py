"""The model that an argument names, with a bar while it is fetched."""

from __future__ import annotations

from pathlib import Path


def find_model(source: str) -> Path:
    """Find the file of a model by its path or name; fetch it if need be."""
    from llamacy.cli.progress_bar import ProgressBar
    from llamacy.sources import locate

    with ProgressBar(f"fetching {source}") as progress:
        return locate(source, progress=progress)
