"""Every exception llamacy raises on purpose.

All derive from :class:`LlamacyError`, and each also from the built-in a Python
programmer would catch for the same trouble.
"""

from __future__ import annotations

import os
from collections.abc import Sized


class LlamacyError(Exception):
    """Base of all errors raised by llamacy."""


class ArgumentError(LlamacyError, ValueError):
    """An argument of a public call has a value that cannot be used."""


class FormatError(LlamacyError, ValueError):
    """A file is not what it should be: broken, inconsistent, or not supported.

    Parameters
    ----------
    path : the file at fault.
    field : what in the file is wrong: a metadata key, a tensor, a header field.
    wanted, found : what was expected there, and what is there.
    """

    def __init__(
        self, path: str | os.PathLike[str], field: str, wanted: object, found: object
    ) -> None:
        self.path = os.fspath(path)
        self.field = field
        self.wanted = wanted
        self.found = found
        super().__init__(self.path, field, wanted, found)

    def __str__(self) -> str:
        return f"{self.path}: {self.field}: wanted {self.wanted}, found {self.found}"


class UnsupportedError(FormatError):
    """A file is well-formed, but needs something llamacy does not have.

    An unknown version, architecture, tensor type or tokenizer; `wanted` lists
    what is supported.
    """


class ModelFileError(LlamacyError, OSError):
    """A file cannot be opened, read or written: missing, no permission, a full disk."""


class HubError(LlamacyError, OSError):
    """A model cannot be had from the hub."""


class HubNotFoundError(HubError, FileNotFoundError):
    """The hub has no such repository, revision or model; the message says what it has.

    A private repository, too, is not there for those who may not read it.
    """


class HubAccessError(HubError, PermissionError):
    """The hub refuses a repository: it is gated, or the token is wrong or missing."""


class HubConnectionError(HubError, ConnectionError):
    """The hub cannot be reached or is not to be, or a transfer was interrupted.

    The message says what is in the cache.
    """


class ContextLengthError(LlamacyError, ValueError):
    """More tokens were asked for than the context holds.

    Parameters
    ----------
    n_tokens : tokens needed.
    n_ctx : tokens the context holds.
    """

    def __init__(self, n_tokens: int, n_ctx: int) -> None:
        self.n_tokens = n_tokens
        self.n_ctx = n_ctx
        super().__init__(n_tokens, n_ctx)

    def __str__(self) -> str:
        return (
            f"{self.n_tokens} tokens do not fit into a context of {self.n_ctx} tokens"
        )


class ChatTemplateError(LlamacyError, ValueError):
    """A conversation cannot be written as a prompt.

    The model has no chat template, or its template fails, refuses the messages,
    tries to leave its sandbox, or does not come to an end.
    """


class ModelOutputError(LlamacyError, ArithmeticError):
    """A model computed something that is not a number: its weights are broken."""


class OutOfMemoryError(LlamacyError, MemoryError):
    """Weights or KV cache do not fit into memory; the message has both figures.

    Parameters
    ----------
    message : what does not fit where.
    needed, available : bytes wanted, and those there are; None if not known.
    """

    def __init__(
        self, message: str, needed: int | None = None, available: int | None = None
    ) -> None:
        self.needed = needed
        self.available = available
        super().__init__(message)


class ClosedError(LlamacyError, ValueError):
    """The model, sequence or file was used after it was closed."""


class BusyError(LlamacyError, RuntimeError):
    """Something was used or changed that a text being generated needs as it is.

    A session, by another call; a model's adapters; a model, by a logits processor; a
    model whose queue is as long as `max_waiting` allows.
    """


class ForkedError(LlamacyError, RuntimeError):
    """A text was being generated when its process was forked; the child has none."""


class CPUError(LlamacyError, RuntimeError):
    """`LLAMACY_ISA` names an instruction-set level this machine or build lacks."""


class UnsupportedCallError(LlamacyError, NotImplementedError):
    """A call of another library that llamacy has no counterpart of."""


def shown(value: object) -> str:
    """Something out of a file as a message may show it: short and printable.

    >>> shown("llama"), shown(["a", "b"])
    ('llama', 'an array of 2')
    """
    if isinstance(value, Sized) and not isinstance(value, str | bytes | tuple | dict):
        return f"an array of {len(value)}"
    text = str(value)
    return text if len(text) <= 80 and text.isprintable() else ascii(text[:80])
