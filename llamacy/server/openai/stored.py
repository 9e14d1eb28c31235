"""Responses that later ones may go on from, as many as fit into a bound."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from llamacy.server.errors import Refusal
from llamacy.server.responses import dumped

_MAX_BYTES: Final = 64 * 2**20
"""Most bytes of all stored conversations, as JSON."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A response, and the conversation up to its end.

    Attributes
    ----------
    response : dict
        The response, as the client got it.
    messages : list of dict
        The conversation, without instructions.
    n_bytes : int
        Bytes of both as JSON.
    """

    response: dict[str, Any]
    messages: list[dict[str, Any]]
    n_bytes: int


class Store:
    """Responses by their ids; the least recently used go first.

    Parameters
    ----------
    most_bytes : int
        Most bytes of all of them.
    """

    def __init__(self, most_bytes: int = _MAX_BYTES) -> None:
        self._most_bytes = most_bytes
        self._n_bytes = 0
        self._stored: OrderedDict[str, Stored] = OrderedDict()

    def add(self, response: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        """Store a response, and the conversation up to its end."""
        n_bytes = len(dumped([response, messages]))
        self._stored[response["id"]] = Stored(response, messages, n_bytes)
        self._n_bytes += n_bytes
        while self._n_bytes > self._most_bytes:
            _, oldest = self._stored.popitem(last=False)
            self._n_bytes -= oldest.n_bytes

    def get(self, id: str, field: str | None = None) -> Stored:
        """Return a stored response.

        Parameters
        ----------
        id : str
            Its id.
        field : str, optional
            The field of the request that has the id.

        Raises
        ------
        Refusal
            It was not stored, or has been dropped.
        """
        if (found := self._stored.get(id)) is None:
            raise Refusal(
                400 if field else 404,
                f"no response {id[:100]!r} is stored; the server drops old ones",
                field=field,
                code="previous_response_not_found" if field else "not_found",
            )
        self._stored.move_to_end(id)
        return found

    def remove(self, id: str) -> None:
        """Forget a response.

        Raises
        ------
        Refusal
            It is not stored.
        """
        self._n_bytes -= self.get(id).n_bytes
        del self._stored[id]
