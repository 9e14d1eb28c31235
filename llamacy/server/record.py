"""One request on its way: its id, its line in the log, and its end."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from typing import Final

from starlette.types import Message, Scope, Send

from llamacy.printable import printable
from llamacy.results import Usage

_KEY = "llamacy.record"
_ID_HEADERS = (b"x-request-id", b"request-id")  # OpenAI's clients read one, Anthropic's

GIVEN_ID: Final = "llamacy.request_id"
"""Key of a scope with the id that a server around this one gave, which sends it, too.

It sends the first of the headers.
"""

_logger = logging.getLogger("llamacy.server.access")


class Record:
    """One request on its way.

    Parameters
    ----------
    scope : dict
        The request's scope, in which `record_of` finds it.
    send : callable
        Sends the messages of the response.

    Attributes
    ----------
    status : int
        The response's status; 0 before it begins.
    usage : Usage or None
        Tokens read and written.
    """

    def __init__(self, scope: Scope, send: Send) -> None:
        self.status = 0
        self.usage: Usage | None = None
        self._scope = scope
        self._send = send
        given = scope.get(GIVEN_ID)
        self._id = given or f"req_{uuid.uuid4().hex}"
        self._id_headers = _ID_HEADERS[1:] if given else _ID_HEADERS
        self._began = time.perf_counter()
        self._at_end: list[Callable[[], None]] = []
        scope[_KEY] = self

    @property
    def has_begun(self) -> bool:
        """Whether the response has begun."""
        return self.status != 0

    async def send(self, message: Message) -> None:
        """Send a message of the response, with the request's id among the headers."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            ids = [(name, self._id.encode()) for name in self._id_headers]
            headers = [*message["headers"], *ids]
            message = {**message, "headers": headers}
        await self._send(message)

    def at_end(self, call: Callable[[], None]) -> None:
        """Call a function once the response has ended."""
        self._at_end.append(call)

    def end(self) -> None:
        """End it, and log it with nothing of its contents."""
        for call in self._at_end:
            call()
        host = (self._scope.get("client") or ("-",))[0]
        _logger.info(
            "%s %s %s %d %.3f s %s%s",
            host,
            self._scope["method"],
            printable(self._scope["path"][:200]),
            self.status,
            time.perf_counter() - self._began,
            self._id,
            "" if self.usage is None else _counts(self.usage),
        )


def record_of(scope: Scope) -> Record:
    """Return the record of the request with this scope."""
    record: Record = scope[_KEY]
    return record


def _counts(usage: Usage) -> str:
    return (
        f" read {usage.prompt_tokens} tokens, {usage.cached_tokens} of them cached; "
        f"wrote {usage.completion_tokens}"
    )
