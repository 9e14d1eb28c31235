"""The models that the plugin offers, by name."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import llm

from llamacy import FormatError, LlamacyError, cached_models
from llamacy.printable import shown
from llamacy.system.whole_files import new_file

_logger = logging.getLogger("llamacy")


def sources() -> dict[str, str]:
    """Return all models: a path or a name for `llamacy.load`, by the model's name.

    `llm` asks for them at each start, for any model: what cannot be read is logged, and
    leaves the others.
    """
    found = {"demo": "demo"}
    try:
        found |= {model.name: model.name for model in cached_models()}
        found |= added()
    except LlamacyError as error:
        _logger.warning("models of llm: %s", error)
    return found


def added() -> dict[str, str]:
    """Return the models that were added by ``llm llamacy add``.

    Raises
    ------
    FormatError
        The file that lists them is broken.
    """
    path = _list_path()
    try:
        listed = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError, RecursionError) as error:
        raise FormatError(path, "the list of models", "JSON", str(error)) from None
    if not isinstance(listed, dict) or not all(
        isinstance(source, str) for source in listed.values()
    ):
        wanted = "an object of strings"
        raise FormatError(path, "the list of models", wanted, shown(listed))
    return listed


def add(source: str, name: str | None) -> str:
    """Add a model to the list; return its name.

    Parameters
    ----------
    source : str
        A path or a name, as for `llamacy.load`. Paths become absolute.
    name : str, optional
        Its name in `llm`, by default that of the file or folder, without ``.gguf``.
    """
    if os.path.exists(source):
        source = os.path.abspath(source)
        name = name or os.path.basename(source).removesuffix(".gguf")
    name = name or source
    _write(added() | {name: source})
    return name


def remove(name: str) -> bool:
    """Remove a model from the list, not from the disk; return whether it was there."""
    listed = added()
    if listed.pop(name, None) is None:
        return False
    _write(listed)
    return True


def _write(listed: dict[str, str]) -> None:
    text = json.dumps(listed, indent=2, ensure_ascii=False) + "\n"
    with new_file(_list_path()) as draft:
        Path(draft).write_text(text, encoding="utf-8")


def _list_path() -> Path:
    return Path(llm.user_dir()) / "llamacy.json"
