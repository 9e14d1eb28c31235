"""Parsing docstrings of tools, in Google's or NumPy's style."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_GOOGLE = re.compile(r"^(Args|Arguments|Returns|Raises|Yields|Examples?|Notes?):\s*$")
_PARAMETERS = ("Args", "Arguments", "Parameters")
# "name: description", "name (int, optional): description", "name : int"
_ENTRY = re.compile(r"^\*{0,2}(\w+)[ \t]*(?:\([^()]*\))?[ \t]*:(.*)$")


@dataclass(frozen=True, slots=True)
class Description:
    """The parts of a docstring that a schema needs.

    Attributes
    ----------
    summary : str
        Everything before the first section.
    parameters : dict
        Descriptions of the parameters, by name.
    returned : str
        Description of the return value.
    """

    summary: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    returned: str = ""


def parse_docstring(text: str) -> Description:
    r"""Parse a docstring, dedented as by `inspect.getdoc`.

    Examples
    --------
    >>> parse_docstring("Add.\n\nArgs:\n    a: the first").parameters
    {'a': 'the first'}
    """
    sections = _sections(text)
    parameters: dict[str, str] = {}
    for title in _PARAMETERS:
        if title in sections:
            is_numpy, lines = sections[title]
            parameters |= _entries(lines, is_numpy)
    is_numpy, returned = sections.get("Returns", (False, []))
    if is_numpy:  # the first line is the type
        returned = returned[1:] or returned
    return Description(
        "\n".join(sections[""][1]).strip(),
        parameters,
        "\n".join(returned).strip(),
    )


def _sections(text: str) -> dict[str, tuple[bool, list[str]]]:
    """Split a docstring into sections by title; the text before the first has "".

    Each is a pair: whether its heading is in NumPy's style, and its lines.
    """
    found: dict[str, tuple[bool, list[str]]] = {"": (False, [])}
    title = ""
    lines = text.splitlines()
    for i, line in enumerate(lines):
        following = lines[i + 1] if i + 1 < len(lines) else ""
        if line.strip() and re.fullmatch(r"-{3,}\s*", following):
            title = line.strip()
            found[title] = (True, [])
        elif google := _GOOGLE.match(line):
            title = google[1]
            found[title] = (False, [])
        elif not (title and found[title][0] and re.fullmatch(r"-{3,}\s*", line)):
            found[title][1].append(line)
    return found


def _entries(lines: list[str], is_numpy: bool) -> dict[str, str]:
    """Return descriptions by parameter; deeper indentation continues an entry."""
    descriptions: dict[str, list[str]] = {}
    after_colon: dict[str, str] = {}
    name, indent = "", 0
    for line in lines:
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        entry = _ENTRY.match(line.strip())
        if entry and (not name or depth <= indent):
            name, indent = entry[1], depth
            after_colon[name] = entry[2].strip()
            # in NumPy's style the type follows the colon, and the description is below
            descriptions[name] = [] if is_numpy else [after_colon[name]]
        elif is_numpy and depth == 0:  # a name without a type
            name, indent = line.strip(), depth
            descriptions[name] = []
        elif name:
            descriptions[name].append(line.strip())
    return {
        name: " ".join(filter(None, lines)) or after_colon.get(name, "")
        for name, lines in descriptions.items()
    }
