"""Blocks of code on the pages of the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

FENCE = re.compile(
    r"^(?:<!-- needs: (?P<needs>[^\n]*) -->\n)?"
    r"```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.M | re.S,
)


class Block(NamedTuple):
    """A block of code; `line` of the page comes before it.

    `needs` names the packages that it imports and llamacy does not: a comment,
    `<!-- needs: fastapi -->`, stands before such a block.
    """

    line: int
    code: str
    needs: tuple[str, ...]


def blocks(page: Path, language: str) -> Iterator[Block]:
    """Yield each block of code in `language` on a page."""
    text = page.read_text(encoding="utf-8")
    for match in FENCE.finditer(text):
        if match["language"] == language:
            line = text.count("\n", 0, match.start("code"))
            yield Block(line, match["code"], tuple((match["needs"] or "").split()))
