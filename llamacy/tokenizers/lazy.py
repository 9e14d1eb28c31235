"""A tokenizer that is built on first use."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from llamacy.errors import FormatError
from llamacy.system.forks import Rank, fork_lock
from llamacy.tokenizers import tokenizer_from_metadata
from llamacy.tokenizers.base import Tokenizer

_logger = logging.getLogger("llamacy")


class LazyTokenizer:
    """The tokenizer of a file, which may have none.

    Parameters
    ----------
    metadata : Mapping of str to Any
        The file's metadata.
    path : str
        The file, for errors.
    """

    def __init__(self, metadata: Mapping[str, Any], path: str) -> None:
        self._metadata = metadata
        self._path = path
        self._lock = fork_lock(Rank.MODEL)
        self._found: Tokenizer | FormatError | None = None

    def get(self) -> Tokenizer:
        """Return the tokenizer.

        Raises
        ------
        FormatError
            The file has no usable tokenizer.
        """
        found = self._find()
        if isinstance(found, FormatError):
            raise found.with_traceback(None)
        return found

    def get_or_none(self) -> Tokenizer | None:
        """Return the tokenizer; None if the file has no usable one."""
        found = self._find()
        return None if isinstance(found, FormatError) else found

    def _find(self) -> Tokenizer | FormatError:
        """Return the tokenizer, or the error that says why there is none."""
        with self._lock:
            if self._found is None:
                try:
                    self._found = tokenizer_from_metadata(self._metadata, self._path)
                except FormatError as error:
                    _logger.warning("only token ids can be used: %s", error)
                    self._found = error
            return self._found
