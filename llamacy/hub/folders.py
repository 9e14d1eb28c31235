"""Repositories without GGUF files that are a folder of safetensors.

The model consists of config.json, the files of the vocabulary, and one safetensors file
or those that an index lists. One that embeds texts has modules.json, and the files that
it needs. A repository that has GGUF files is never treated as a folder.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from llamacy.arguments import short
from llamacy.errors import ArgumentError, FormatError, HubNotFoundError, ModelFileError
from llamacy.formats.hugging_face import CONFIG
from llamacy.formats.hugging_face.config import read_config
from llamacy.formats.hugging_face.sentence_transformers import (
    MODULES,
    SETTINGS_FILES,
    module_files,
)
from llamacy.formats.json_text import read_json
from llamacy.formats.recipes import is_for_imatrix
from llamacy.formats.safetensors.folder import INDEX, SINGLE, read_index
from llamacy.ggml.file_types import FILE_TYPES, FileType, find_file_type
from llamacy.hub.choice import RepoModel, listed
from llamacy.hub.names import HubName

# Optional files, downloaded before the weights.
_OPTIONAL: Final = (
    "generation_config.json",
    "tokenizer.json",
    "tokenizer.model",
    "sentencepiece.bpe.model",
    "spiece.model",
    "vocab.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    *SETTINGS_FILES,
)
# Optional as well: templates with names, one a file.
_TEMPLATE: Final = re.compile(r"additional_chat_templates/[^/]+\.jinja")


def is_folder(files: Collection[str]) -> bool:
    """Whether a repository's files are a folder of safetensors."""
    return CONFIG in files and (SINGLE in files or INDEX in files)


def guides(files: Collection[str]) -> list[str]:
    """Return the files that describe the model, which are downloaded first."""
    index = () if SINGLE in files else (INDEX,)
    modules = (MODULES,) if MODULES in files else ()
    return [CONFIG, *index, *modules]


def check_runs(folder: Path) -> None:
    """Check that config.json describes a model that llamacy can run.

    Raises
    ------
    FormatError
        config.json is broken.
    UnsupportedError
        config.json has a setting that llamacy does not support.
    """
    read_config(read_json(folder / CONFIG), folder.name)


def folder_model(files: Collection[str], folder: Path, repo: str) -> RepoModel:
    """Return the model of a repository for which `is_folder` is true.

    Parameters
    ----------
    files : Collection of str
        Paths in the repository.
    folder : Path
        A folder on disk that has its `guides`.
    repo : str
        The repository's name, for errors.

    Raises
    ------
    FormatError
        The index, or modules.json, is broken.
    UnsupportedError
        modules.json has a module that llamacy does not have.
    HubNotFoundError
        One of them needs files that are not in the repository.
    """
    weights = [SINGLE]
    if SINGLE not in files:
        weights = sorted(set(read_index(folder / INDEX).values()))
        _check_there(weights, files, f"{repo}: {INDEX}")
    modules = module_files(folder) if MODULES in files else []
    _check_there(modules, files, f"{repo}: {MODULES}")
    optional = [file for file in _OPTIONAL if file in files]
    optional += sorted(file for file in files if _TEMPLATE.fullmatch(file))
    paths = *guides(files), *optional, *modules, *weights
    return RepoModel(paths, None, is_folder=True)


def _check_there(wanted: Sequence[str], files: Collection[str], source: str) -> None:
    """Check that a repository's files include those that `source` names."""
    missing = [file for file in wanted if file not in files]
    if missing:
        raise HubNotFoundError(
            f"{source} names files that are not in the repository: {listed(missing)}"
        )


def cached_folder(
    files: Collection[str], folder: Path, repo: str, *, runs: bool
) -> RepoModel | None:
    """Return the model of a folder in the cache; None if there is no complete one.

    Parameters
    ----------
    files : Collection of str
        Paths in the folder.
    folder : Path
        The folder.
    repo : str
        The repository's name, for errors.
    runs : bool
        Whether llamacy must be able to run the model.
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
    """Return the type to which a name asks to quantise a folder; None if it does not.

    Raises
    ------
    ArgumentError
        The type is unknown, or needs an importance matrix.
    HubNotFoundError
        The name is a file's, which a folder does not have.
    """
    if name.file is not None:
        raise HubNotFoundError(f"no {name} on the hub; the repository has {name.repo}")
    if name.variant is None:
        return None
    try:
        file_type = find_file_type(name.variant)
    except ArgumentError:
        raise ArgumentError(
            f"{name}: the repository has safetensors, which can be quantised to one "
            f"of {', '.join(FILE_TYPES)}, found {short(name.variant)}"
        ) from None
    if is_for_imatrix(file_type):
        raise ArgumentError(
            f"{name}: wanted a type that needs no importance matrix, found "
            f"{file_type.name}; `quantize` the repository's model with `imatrix`"
        )
    return file_type
