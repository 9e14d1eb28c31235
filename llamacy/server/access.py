"""Access to the server: hosts, origins and keys."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable
from ipaddress import ip_address

from starlette.datastructures import Headers

from llamacy.server.errors import Refusal

_OPEN_PATHS = ("/", "/health")  # the page has nothing secret; what it asks has


class Access:
    """Which requests are let in.

    Parameters
    ----------
    keys : iterable of str
        Keys, one of which a request must have; none lets all in.
    hosts : collection of str
        Names that the server is reached by, beside ``localhost`` and addresses; ``"*"``
        for any.
    origins : collection of str
        Origins of web pages that may ask, such as ``"https://example.org"``; ``"*"``
        for any.
    """

    def __init__(
        self,
        keys: Iterable[str] = (),
        hosts: Collection[str] = (),
        origins: Collection[str] = (),
    ) -> None:
        self._digests = tuple(_digest(key) for key in keys)
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origins)

    def check(self, path: str, headers: Headers) -> None:
        """Check a request.

        Raises
        ------
        Refusal
            It may not be answered.
        """
        self._check_host(headers.get("host", ""))
        self._check_origin(headers)
        if self._digests and path not in _OPEN_PATHS:
            self._check_key(headers)

    def _check_host(self, host: str) -> None:
        """Refuse names of others: a web page could make its own name mean this server.

        An address in the place of a name cannot be such a trick (DNS rebinding).
        """
        name = _host_name(host)
        if "*" in self._hosts or name == "localhost" or name in self._hosts:
            return
        if not _is_address(name):
            raise Refusal(
                403,
                f"host: wanted localhost, an address, or a name that the server was "
                f"given (llamacy serve --allowed-host), found {name[:100]!r}",
                code="host_not_allowed",
            )

    def _check_origin(self, headers: Headers) -> None:
        """Refuse web pages of others, which a browser lets send simple requests."""
        origin = headers.get("origin")
        if origin is None or "*" in self._origins or origin in self._origins:
            return
        if origin.partition("://")[2] != headers.get("host"):
            raise Refusal(
                403,
                "origin: wanted a page of this server, or one that it was given "
                f"(llamacy serve --allowed-origin), found {origin[:100]!r}",
                code="origin_not_allowed",
            )

    def _check_key(self, headers: Headers) -> None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        found = token.strip() if kind.lower() == "bearer" else ""
        digest = _digest(found or headers.get("x-api-key", ""))
        # all of them, so that the time tells nothing
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if not any(matches):
            raise Refusal(
                401,
                "wanted a valid API key, as Authorization: Bearer KEY or x-api-key",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )


def _digest(key: str) -> bytes:
    """Return a digest of a key, whose length tells nothing of the key's."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _host_name(host: str) -> str:
    """Return the name in a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
