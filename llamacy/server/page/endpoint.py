"""`/`: sends the page."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from llamacy.server.page.document import document

_HEADERS: Final = {
    "cache-control": "no-cache",  # kept, and asked for again: most answers are a 304
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


async def page(request: Request) -> Response:
    """Send the page, or say that the browser's copy is still right."""
    made = document()
    headers = {
        **_HEADERS,
        "content-security-policy": made.policy,
        "etag": made.etag,
    }
    known = request.headers.get("if-none-match", "")
    if made.etag in (one.strip().removeprefix("W/") for one in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(made.body, media_type="text/html", headers=headers)
