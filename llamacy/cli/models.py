"""The model that an argument names, with a bar while it is fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamacy.model_files.sources import Source


def find_model(source: str) -> Source:
    """Find a model by its path or name; fetch it if need be."""
    from llamacy.cli.progress_bar import ProgressBar
    from llamacy.model_files.sources import find_source

    with ProgressBar(f"fetching {source}") as progress:
        return find_source(source, progress=progress)


def type_name(
    source: Source, given: str | None, argument: str = "--quantize"
) -> str | None:
    """Name what its weights are to become, as an argument or its own name says."""
    file_type = source.file_type(given, argument)
    return None if file_type is None else file_type.name
