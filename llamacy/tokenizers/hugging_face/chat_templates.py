"""Reads a folder's chat templates, which may be several with names.

The usual one has the name `default`; `tool_use` is for conversations with tools. As in
the transformers library, files of their own take the place of those in
tokenizer_config.json.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from llamacy.errors import FormatError, ModelFileError
from llamacy.formats.json_text import JsonObject, read_json
from llamacy.formats.mapped_file import MappedFile
from llamacy.formats.metadata import Metadata

_KEY: Final = "tokenizer.chat_template"
_NAMES: Final = "tokenizer.chat_templates"
_DEFAULT: Final = "default"
_FILE: Final = "chat_template.jinja"
_FOLDER: Final = "additional_chat_templates"
_OLDER_FILE: Final = "chat_template.json"
_MAX_BYTES: Final = 1 << 22  # of a file; the largest seen has 30 kB
_MAX_FILES: Final = 64
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_]")


def add_chat_templates(folder: Path, settings: JsonObject, metadata: Metadata) -> None:
    """Add the chat templates, under the keys that llama.cpp's converter gives them.

    Parameters
    ----------
    folder : Path
        The folder.
    settings : JsonObject
        Its tokenizer_config.json.
    metadata : Metadata
        Gets the keys.

    Raises
    ------
    FormatError
        A file is too large or is not UTF-8, or there are too many.
    ModelFileError
        A file cannot be read.
    """
    templates = _in_files(folder)
    if _DEFAULT not in templates:
        listed = _by_name(settings.get("chat_template"))
        if not listed and os.path.exists(folder / _OLDER_FILE):
            listed = _by_name(read_json(folder / _OLDER_FILE).get("chat_template"))
        if templates and _DEFAULT in listed:
            templates[_DEFAULT] = listed[_DEFAULT]
        templates = templates or listed
    names = sorted(templates.keys() - {_DEFAULT})
    if _DEFAULT in templates:
        metadata.text(_KEY, templates[_DEFAULT])
    for name in names:
        metadata.text(f"{_KEY}.{name}", templates[name])
    if names:
        metadata.texts(_NAMES, names)


def _in_files(folder: Path) -> dict[str, str]:
    """Return the templates that have files of their own, by name."""
    templates = {}
    if os.path.exists(folder / _FILE):
        templates[_DEFAULT] = _read_text(folder / _FILE)
    further = folder / _FOLDER
    try:
        names = os.listdir(further) if further.is_dir() else []
    except OSError as error:
        raise ModelFileError(error.errno, error.strerror, str(further)) from None
    names = sorted(name for name in names if name.endswith(".jinja"))
    if len(names) > _MAX_FILES:
        wanted = f"at most {_MAX_FILES} templates"
        raise FormatError(further, "folder", wanted, str(len(names)))
    for file in names:
        if name := _NO_NAME.sub("", file.removesuffix(".jinja")):
            templates.setdefault(name, _read_text(further / file))
    return templates


def _by_name(value: object) -> dict[str, str]:
    """Return the templates of a JSON value: one, or several in a list or an object."""
    if isinstance(value, str):
        return {_DEFAULT: value}
    if isinstance(value, list):
        value = {
            each["name"]: each.get("template")
            for each in value
            if isinstance(each, dict) and isinstance(each.get("name"), str)
        }
    if not isinstance(value, dict):
        return {}
    return {
        plain: template
        for name, template in value.items()
        if isinstance(name, str) and isinstance(template, str)
        if (plain := _NO_NAME.sub("", name))
    }


def _read_text(path: Path) -> str:
    if path.is_file() and not path.stat().st_size:
        return ""  # an empty file cannot be mapped
    file = MappedFile(path)
    try:
        if file.size > _MAX_BYTES:
            wanted = f"at most {_MAX_BYTES} bytes"
            raise FormatError(path, "file", wanted, f"{file.size} bytes")
        return file.data[:].decode("utf-8")
    except UnicodeDecodeError as error:
        found = f"{error.reason} at byte {error.start}"
        raise FormatError(path, "file", "UTF-8 text", found) from None
    finally:
        file.close()
