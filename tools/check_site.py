"""Check the built site: the reference shows docstrings as they were meant.

No role of Sphinx is shown as it was written; types stand where types should be, with a
sentence behind them; each page of the reference describes an object, and each object
has a docstring. Sections must be lists (docstring_section_style in mkdocs.yml).

    python tools/check_site.py SITE      the folder that mkdocs has built
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

from check_words import is_sentence

ROLE = re.compile(r":[a-z]+:$")
VOID = {"br", "hr", "img", "input", "link", "meta", "source"}


@dataclass
class Element:
    """An element of a page.

    Attributes
    ----------
    tag : str
        Its name.
    classes : set of str
        Its classes.
    content : list of Element or str
        Elements and texts inside, in order.
    """

    tag: str
    classes: set[str] = field(default_factory=set)
    content: list[Element | str] = field(default_factory=list)

    @property
    def elements(self) -> list[Element]:
        """The elements inside, one level down."""
        return [each for each in self.content if isinstance(each, Element)]

    @property
    def text(self) -> str:
        """All text inside, with single spaces."""
        return " ".join("".join(self.strings()).split())

    def strings(self) -> Iterator[str]:
        """Yield all texts inside, as they are written."""
        for each in self.content:
            if isinstance(each, str):
                yield each
            else:
                yield from each.strings()

    def find(self, name: str) -> Iterator[Element]:
        """Yield the elements of a tag or, after a dot, of a class, at any depth."""
        for each in self.elements:
            if each.tag == name or name[1:] in each.classes:
                yield each
            yield from each.find(name)


class Reader(HTMLParser):
    """Builds the tree of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.path = [Element("html")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Go into an element."""
        classes = set((dict(attrs).get("class") or "").split())
        element = Element(tag, classes)
        self.path[-1].content.append(element)
        if tag not in VOID:
            self.path.append(element)

    def handle_endtag(self, tag: str) -> None:
        """Leave it, and what was left open in it."""
        depths = [i for i, each in enumerate(self.path) if i and each.tag == tag]
        if depths:
            del self.path[depths[-1] :]

    def handle_data(self, data: str) -> None:
        """Add text."""
        self.path[-1].content.append(data)


def read(path: Path) -> Element:
    """Return the content of a page, without its navigation."""
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    return next(reader.path[0].find("article"))


def roles(element: Element) -> Iterator[str]:
    """Yield the code that a role of Sphinx stands before."""
    before = ""
    for each in element.content:
        if isinstance(each, str):
            before = each
        elif each.tag == "code" and ROLE.search(before):
            yield f"{before.split()[-1]}`{each.text}` is shown as it was written"
        else:
            yield from roles(each)


def sections(page: Element) -> Iterator[str]:
    """Yield what is wrong with parameters, attributes, results and errors."""
    for item in page.find(".doc-section-item"):
        name = " ".join(each.text for each in item.find("b"))
        types = [each.text for each in item.elements if each.tag == "code"]
        subject = name or (types[0] if types else "")
        for kind in types:
            if is_sentence(kind):
                yield f'{subject}: "{kind}" stands where a type should be'
        if not any(each.text for each in item.find(".doc-md-description")):
            yield f"{subject}: no sentence says what it is"


def objects(page: Element) -> Iterator[str]:
    """Yield what is wrong with the objects of a page of the reference."""
    found = list(page.find(".doc-object"))
    if not found:
        yield "it describes nothing"
    for each in found:
        contents = next(each.find(".doc-contents"))
        if not any(part.tag == "p" and part.text for part in contents.elements):
            title = next(each.find(".doc-object-name"), None)
            yield f"{title.text if title else 'an object'}: it has no docstring"


def findings(site: Path) -> Iterator[str]:
    """Yield a line for each thing that is wrong on the site."""
    n_items = 0
    for path in sorted(site.rglob("index.html")):
        page, name = read(path), path.parent.relative_to(site).as_posix()
        found = [*roles(page), *sections(page)]
        if name.startswith("reference/"):
            found += objects(page)
            n_items += len(list(page.find(".doc-section-item")))
        yield from (f"{name}: {line}" for line in found)
    if not n_items:
        yield "reference: it has no parameters, attributes, results or errors at all"


def main() -> None:
    """Run as a command: print what is wrong; exit with 1 if anything is."""
    site = Path(sys.argv[1])
    wrong = list(findings(site))
    print("\n".join(wrong) or f"{site}: nothing is wrong")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
