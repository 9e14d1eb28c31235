"""Shapes of the tensors that a family asks for, by the metadata of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from llamacy.formats.gguf.file import open_gguf
from llamacy.model_files.hyperparameters import read_hyperparameters


def model_shapes(
    write_gguf: Callable[..., Path],
    folder: Path,
    metadata: dict[str, Any],
    also: tuple[str, ...] = (),
) -> dict[str, tuple[int, ...]]:
    """Return the shapes of the tensors that a model must have, by their names.

    Optional ones whose names end with one of `also` are among them, and an MTP head's
    if the metadata count it.
    """
    with open_gguf(write_gguf(folder / "plain.gguf", metadata, {})) as file:
        architecture, config = read_hyperparameters(file)
    if metadata.get(f"{config.architecture}.nextn_predict_layers"):
        config = architecture.complete(replace(config, has_mtp=True), "")
    return {
        name: spec.shape
        for name, spec in architecture.tensors(config).items()
        if spec.is_required or name.endswith(also)
    }
