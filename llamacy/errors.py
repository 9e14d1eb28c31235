"""Every exception that llamacy raises on purpose.

All errors derive from `LlamacyError`. Each also derives from the built-in exception
that a Python programmer would catch for the same failure. `Interrupted` is not an
error: it is the KeyboardInterrupt of a call that keeps what it has generated.
"""

from __future__ import annotations

import copy
import os
from typing import Any, Final, TypeVar

from llamacy.printable import bounded, printable

ErrorT = TypeVar("ErrorT", bound="LlamacyError")

_MAX_PATH: Final = 4096  # characters; no system has longer paths


class LlamacyError(Exception):
    """Base of all errors raised by llamacy.

    Attributes
    ----------
    index : int or None
        Index of the prompt, text or conversation at fault among those of one call,
        which the message names, too; None if the call had a single one.
    """

    index: int | None = None
    _place = ""

    def __str__(self) -> str:
        message = self._message()
        if message.startswith(self._place):  # the argument at fault is the place itself
            return message
        return f"{self._place}: {message}"

    def _message(self) -> str:
        """Return the message, without the place."""
        return super().__str__()


class ArgumentError(LlamacyError, ValueError):
    """An argument of a public call has a value that cannot be used."""


class ConstraintError(ArgumentError):
    """A JSON schema, a regular expression or a grammar that cannot be enforced.

    It is raised before the first token: a text is never generated without the
    constraint that was asked for. The message names the place, such as
    ``json_schema: #/properties/age/not``.
    """


class ConstraintLimitError(ConstraintError):
    """A constraint takes more states, bytes or seconds than it may.

    Most are refused before the first token. A state that grows too large further on
    ends the text with this error.
    """


class UnknownOptionError(ArgumentError, TypeError):
    """A call was given an option that it does not have; the message says what to write.

    Names of other libraries are known. The built-in TypeError is what Python raises for
    an unknown keyword argument.

    Examples
    --------
    >>> llamacy.load("demo").generate("Once", temp=0.5)
    Traceback (most recent call last):
    llamacy.errors.UnknownOptionError: temp: unknown option; did you mean temperature?
    """


class FormatError(LlamacyError, ValueError):
    """A file is broken, inconsistent or not supported.

    Parameters
    ----------
    path : str or os.PathLike
        The file at fault.
    field : str
        The faulty place in the file: a metadata key, a tensor, a header field.
    wanted : object
        The value that llamacy expected there.
    found : object
        The value that is there.
    """

    def __init__(
        self, path: str | os.PathLike[str], field: str, wanted: object, found: object
    ) -> None:
        self.path = os.fspath(path)
        self.field = field
        self.wanted = wanted
        self.found = found
        super().__init__(self.path, field, wanted, found)

    def _message(self) -> str:
        wanted, found = bounded(str, self.wanted), bounded(str, self.found)
        place = f"{printable(self.path)}: {self.field}"
        return f"{place}: wanted {wanted}, found {found}"


class UnsupportedError(FormatError):
    """A well-formed file needs a feature that llamacy does not have.

    Examples are an unknown version, architecture, tensor type or tokenizer. `wanted`
    lists the supported ones, or says where they are listed.
    """


class ModelFileError(LlamacyError, OSError):
    """A file cannot be opened, read or written.

    It is missing, access is denied or the disk is full. `errno`, `strerror` and
    `filename` are those of OSError.
    """

    def __str__(self) -> str:
        if self.filename is None or self.strerror is None:
            return super().__str__()
        name = str(self.filename)
        name = name if len(name) <= _MAX_PATH else f"{name[:_MAX_PATH]}..."
        return f"{printable(name)}: {self.strerror}"


class HubError(LlamacyError, OSError):
    """A model cannot be downloaded from the hub."""


class HubNotFoundError(HubError, FileNotFoundError):
    """The hub has no such repository, revision or model; the message says what it has.

    The hub also answers so for a private repository that the token may not read.
    """


class HubAccessError(HubError, PermissionError):
    """The hub denies access: the repository is gated or the token wrong or missing."""


class HubConnectionError(HubError, ConnectionError):
    """The hub is unreachable, offline mode is on, or a transfer was interrupted.

    The message says what is in the cache.
    """


class ContextLengthError(LlamacyError, ValueError):
    """A text needs more tokens than the context holds.

    Parameters
    ----------
    n_tokens : int
        Number of tokens needed.
    n_ctx : int
        Number of tokens that the context holds.
    """

    def __init__(self, n_tokens: int, n_ctx: int) -> None:
        self.n_tokens = n_tokens
        self.n_ctx = n_ctx
        super().__init__(n_tokens, n_ctx)

    def _message(self) -> str:
        return (
            f"{self.n_tokens} tokens do not fit into a context of {self.n_ctx} tokens"
        )


class ChatTemplateError(LlamacyError, ValueError):
    """A conversation cannot be rendered as a prompt.

    The model has no chat template, or its template fails, rejects the messages, tries
    to escape its sandbox, or exceeds the limits on its steps, text and time.
    """


class ModelOutputError(LlamacyError, ArithmeticError):
    """A model computed NaN or infinity: its weights are broken."""


class OutOfMemoryError(LlamacyError, MemoryError):
    """Weights or KV cache do not fit into memory; the message has both figures.

    Parameters
    ----------
    message : str
        Says which object does not fit into which memory.
    needed : int, optional
        Bytes needed; None if unknown.
    available : int, optional
        Bytes available; None if unknown.
    """

    def __init__(
        self, message: str, needed: int | None = None, available: int | None = None
    ) -> None:
        self.needed = needed
        self.available = available
        super().__init__(message)


class ClosedError(LlamacyError, ValueError):
    """A model, sequence or file was used after it was closed."""


class BusyError(LlamacyError, RuntimeError):
    """An object was used or changed while a text being generated depends on it.

    Examples are a session used by two calls at once, a model's adapters changed during
    generation, a model called by its own logits processor, and a model whose queue is
    as long as `max_waiting` allows.
    """


class CancelledError(LlamacyError, RuntimeError):
    """A call that has no partial result was cancelled by its `cancel` token."""


class ForkedError(LlamacyError, RuntimeError):
    """The process was forked while a text was generated: the child cannot go on."""


class CPUError(LlamacyError, RuntimeError):
    """`LLAMACY_ISA` names an instruction-set level this machine or build lacks."""


class MissingPackageError(LlamacyError, ImportError):
    """A feature needs a package that is not installed; the message says which."""


class MismatchError(LlamacyError, ValueError):
    """A text has the form asked for, but its class refuses it: pydantic's own error.

    The class has a rule that no JSON schema tells, such as a validator in Python. Its
    error is the `__cause__`.

    Parameters
    ----------
    message : str
        The class's error.
    completion : Completion, optional
        The text.
    """

    def __init__(self, message: str, completion: Any = None) -> None:
        self.completion = completion
        super().__init__(message, completion)

    def _message(self) -> str:
        return str(self.args[0])


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a call; the text that it had generated is kept.

    It is a KeyboardInterrupt, so that ``except Exception`` lets it pass. At the prompt
    of Python or IPython, ``sys.last_value.completion`` is the text. A script that does
    not catch it ends with status 1, where an uncaught KeyboardInterrupt itself would
    end it by the signal: Python compares the type exactly.

    Parameters
    ----------
    completion : Completion, or a list
        The call's result so far, in its usual shape. Texts that were not at their ends
        have the `finish_reason` ``"cancelled"``.

    Examples
    --------
    >>> model = llamacy.load("demo")
    >>> endless = dict.fromkeys(model.tokenizer.eog_ids, float("-inf"))
    >>> def interrupt(share):
    ...     raise KeyboardInterrupt  # as Ctrl-C does
    >>> try:
    ...     answer = model.generate("Once", logit_bias=endless, progress=interrupt)
    ... except llamacy.Interrupted as interrupted:
    ...     answer = interrupted.completion
    >>> answer.finish_reason
    'cancelled'
    """

    def __init__(self, completion: Any) -> None:
        self.completion = completion
        super().__init__(completion)

    def __str__(self) -> str:
        return (
            "`completion` has the text so far (in a shell: sys.last_value.completion)"
        )

    def _render_traceback_(self) -> list[str]:
        # asked for by IPython; where in a pass Ctrl-C came tells nothing
        return [f"Interrupted: {self}"]


class NotPicklableError(LlamacyError, TypeError):
    """An object that lives in one process was pickled or copied: a stream or a session.

    The message says what to do instead. Models, tokenizers, options and results can be
    pickled and copied.
    """


class UnsupportedCallError(LlamacyError, NotImplementedError):
    """A call from another library's API that llamacy does not support."""


def placed(error: ErrorT, place: str, index: int | None) -> ErrorT:
    """Return a copy of an error that names the place of the fault in its call.

    A copy, because one error may have ended requests of several prompts, and of several
    calls. Only an error of a caller's own class, which its constructor does not copy,
    is named itself.

    Parameters
    ----------
    error : LlamacyError
        The error.
    place : str
        Argument and index, such as ``"prompts[3]"``; empty for a single prompt.
    index : int or None
        The index.
    """
    try:
        twin = copy.copy(error)
    except Exception:
        twin = error
    if twin.args != error.args:
        twin = error
    twin.index, twin._place = index, place
    twin.__cause__ = error.__cause__
    return twin
