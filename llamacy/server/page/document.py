"""The page's sources as one document."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent / "sources"

_IMPORT: Final = re.compile(r'^import\b[^;]*?\bfrom "\./([\w-]+\.js)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=async |class |const |function )", re.MULTILINE)
_STYLE: Final = '<link rel="stylesheet" href="page.css">'
_SCRIPT: Final = '<script type="module" src="main.js"></script>'


@dataclass(frozen=True, slots=True)
class Document:
    """A document and the headers that belong to it.

    Attributes
    ----------
    body : bytes
        The HTML, in UTF-8.
    etag : str
        Names this body, for caches.
    policy : str
        The Content-Security-Policy: nothing runs but the document's own script, and
        it reaches nothing but its own server, even if a model's text were taken for
        HTML.
    """

    body: bytes
    etag: str
    policy: str


@cache
def document() -> Document:
    """Return the document."""
    style = _source("page.css")
    script = script_of("main.js")
    html = _source("page.html")
    for place, inline in (
        (_STYLE, f"<style>{style}</style>"),
        (_SCRIPT, f'<script type="module">{script}</script>'),
    ):
        before, after = html.split(place)
        html = before + inline + after
    body = html.encode()
    etag = f'"{hashlib.sha256(body).hexdigest()}"'
    return Document(body, etag, _policy(style, script))


def script_of(first: str) -> str:
    """Return a module and all that it imports as one module.

    Each comes once, behind those that it imports. They share one scope, so no two of
    them may define the same name at their top level.

    Parameters
    ----------
    first : str
        The module's file name.
    """
    modules: dict[str, str] = {}

    def add(name: str) -> None:
        if name in modules:
            return
        source = _source(name)
        modules[name] = ""  # a circle of imports is not followed a second time
        for imported in _IMPORT.findall(source):
            add(imported)
        del modules[name]
        modules[name] = _EXPORT.sub("", _IMPORT.sub("", source))

    add(first)
    return "\n".join(modules.values())


def _policy(style: str, script: str) -> str:
    rules = (
        "default-src 'none'",
        f"script-src {_digest(script)}",
        f"style-src {_digest(style)}",
        "connect-src 'self'",
        "img-src data:",  # its own icon
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",  # assigning to innerHTML is an error
    )
    return "; ".join(rules)


def _digest(inline: str) -> str:
    digest = hashlib.sha256(inline.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _source(name: str) -> str:
    return (SOURCES / name).read_text(encoding="utf-8")
