"""Finding the model that an argument names, with a progress bar for downloads."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llamacy.model_files.sources import Source


def find_model(source: str) -> Source:
    """Find a model by its path or name; download it if necessary."""
    from llamacy.cli.progress_bar import ProgressBar
    from llamacy.model_files.sources import find_source

    with ProgressBar(f"fetching {source}") as progress:
        return find_source(source, progress=progress)


def type_name(
    source: Source, wanted: str | None, argument: str = "--quantize"
) -> str | None:
    """Return the type to quantise to, from an argument or from the model's name."""
    file_type = source.file_type(wanted, argument)
    return None if file_type is None else file_type.name
