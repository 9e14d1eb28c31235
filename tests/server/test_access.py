"""Hosts, origins and keys that are let in."""

from __future__ import annotations

import pytest

pytest.importorskip("llamacy.server", exc_type=ImportError)

from starlette.datastructures import Headers

from llamacy.server.access import Access
from llamacy.server.errors import Refusal

pytestmark = pytest.mark.server


def status(access: Access, path: str = "/v1/models", **headers: str) -> int:
    """Return the status that a request is refused with, or 200."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        access.check(path, Headers({"host": "localhost:8080"} | named))
    except Refusal as refusal:
        return refusal.status
    return 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1:8080", 200),
        ("192.168.1.5", 200),
        ("[::1]:8080", 200),
        ("here.example:8080", 200),
        ("evil.example:8080", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("[evil.example]", 403),
        ("", 403),
    ],
)
def test_names_of_others_are_refused(host: str, expected: int) -> None:
    assert status(Access(hosts=["Here.example"]), host=host) == expected


def test_any_name_can_be_allowed() -> None:
    assert status(Access(hosts=["*"]), host="evil.example") == 200


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        ("http://localhost:8080", 200),
        ("https://known.example", 200),
        ("https://evil.example", 403),
        ("http://localhost:9999", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
def test_web_pages_of_others_are_refused(origin: str, expected: int) -> None:
    access = Access(origins=["https://known.example"])
    assert status(access, origin=origin) == expected


def test_a_key_is_asked_for_wherever_texts_are() -> None:
    access = Access(keys=["first", "sécond"])
    assert status(access) == 401
    assert status(access, "/health") == 200
    assert status(access, authorization="Bearer first") == 200
    assert status(access, authorization="bearer first") == 200
    assert status(access, x_api_key="first") == 200
    for wrong in ("Bearer ", "Bearer firstx", "Basic first", "first"):
        assert status(access, authorization=wrong) == 401
