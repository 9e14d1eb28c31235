"""Repositories that are no GGUF files but a folder as Hugging Face has them.

Which of their files make the model: config.json, what is about the vocabulary, and the
safetensors, one or as many as an index lists. A repository with GGUF files is those,
whatever else it has.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

from llamacy.errors import ArgumentError, FormatError, HubNotFoundError, ModelFileError
from llamacy.formats.hugging_face import CONFIG
from llamacy.formats.hugging_face.config import read_config
from llamacy.formats.json_text import read_json
from llamacy.formats.safetensors.folder import INDEX, SINGLE, read_index
from llamacy.ggml.file_types import FILE_TYPES, FileType, find_file_type
from llamacy.hub.choice import RepoModel, listed
from llamacy.hub.names import HubName

# What is fetched as far as a repository has it, before the weights.
_BESIDE: Final = (
    *("generation_config.json", "tokenizer.json", "tokenizer.model"),
    *("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("chat_template.jinja", "chat_template.json"),
)


def is_folder(files: Collection[str]) -> bool:
    """Whether a repository's files are a folder of safetensors."""
    return CONFIG in files and (SINGLE in files or INDEX in files)


def guides(files: Collection[str]) -> list[str]:
    """Files that say what the others are, and come first."""
    return [CONFIG] if SINGLE in files else [CONFIG, INDEX]


def check_runs(folder: Path) -> None:
    """Look whether config.json is that of a model that llamacy can run.

    Raises
    ------
    FormatError : it is broken, or (UnsupportedError) asks for what is not known here.
    """
    read_config(read_json(folder / CONFIG), folder.name)


def folder_model(files: Collection[str], folder: Path, repo: str) -> RepoModel:
    """Put a repository's files together to a model.

    Parameters
    ----------
    files : paths in it, of which `is_folder` is true.
    folder : has `guides` of it on this machine.
    repo : its name, for errors.

    Raises
    ------
    FormatError : the index is broken.
    HubNotFoundError : the index names files that the repository has not.
    """
    weights = [SINGLE]
    if SINGLE not in files:
        weights = sorted(set(read_index(folder / INDEX).values()))
        missing = [file for file in weights if file not in files]
        if missing:
            raise HubNotFoundError(
                f"{repo}: {INDEX} names files that the repository has not: "
                f"{listed(missing)}"
            )
    beside = [file for file in _BESIDE if file in files]
    return RepoModel((*guides(files), *beside, *weights), None, is_folder=True)


def cached_folder(
    files: Collection[str], folder: Path, repo: str, *, runs: bool
) -> RepoModel | None:
    """Find the model in a folder of the cache; None if it is none, or not whole.

    runs : whether it must be one that llamacy can run.
    """
    if not is_folder(files):
        return None
    try:
        if runs:
            check_runs(folder)
        return folder_model(files, folder, repo)
    except (FormatError, HubNotFoundError, ModelFileError):
        return None


def wanted_type(name: HubName) -> FileType | None:
    """Find what a name wants the weights of a folder to become, None for nothing.

    Raises
    ------
    ArgumentError : there is no such type.
    HubNotFoundError : the name is that of a file.
    """
    if name.file is not None:
        raise HubNotFoundError(f"no {name} on the hub; the repository has {name.repo}")
    if name.variant is None:
        return None
    try:
        return find_file_type(name.variant)
    except ArgumentError:
        raise ArgumentError(
            f"{name}: the repository has safetensors, which can be quantised to one "
            f"of {', '.join(FILE_TYPES)}, found {name.variant!r}"
        ) from None
