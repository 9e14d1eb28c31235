"""A hook of mkdocs: public names in code become links to the reference.

`llamacy.load`, `Session.fork` and `ContextLengthError` are links, in pages and in
docstrings alike; bare words, such as `load`, stay as they are. The names are those of
the objects that docs/reference describes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

CODE = re.compile(
    r"<(?P<kept>a|pre|h[1-6])\b.*?</(?P=kept)>"
    r"|<code>(?P<name>(?:llamacy\.)?[A-Za-z_]\w*(?:\.\w+)?)</code>",
    re.S,
)

OBJECT = re.compile(r"^::: ([\w.]+)", re.M)


def described(reference: Path) -> dict[str, str]:
    """Return the full name of each object that the pages of a folder describe."""
    found = {}
    for page in sorted(reference.glob("*.md")):
        for full in OBJECT.findall(page.read_text(encoding="utf-8")):
            found[full.rpartition(".")[2]] = full
    return found


def identifier(name: str, objects: dict[str, str]) -> str | None:
    """Return the full name of what a public name means, or None."""
    bare = name.removeprefix("llamacy.")
    first, _, member = bare.partition(".")
    if bare == name and first.islower() and not member:
        return None
    if first in objects:
        return f"{objects[first]}.{member}" if member else objects[first]
    return f"llamacy.errors.{first}" if first.endswith("Error") else None


def linked(html: str, objects: dict[str, str]) -> str:
    """Return a page whose names are references for mkdocs-autorefs to resolve.

    A name that the reference does not know after all is shown as it was.
    """

    def link(match: re.Match[str]) -> str:
        full = identifier(match["name"], objects) if match["name"] else None
        if full is None:
            return match[0]
        return f'<autoref optional identifier="{full}">{match[0]}</autoref>'

    return CODE.sub(link, html)


def on_page_content(html: str, *, config: Any, **_: object) -> str:
    """Add the links to the content of a page, which mkdocs calls this for."""
    return linked(html, described(Path(config.docs_dir) / "reference"))
