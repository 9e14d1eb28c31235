"""What a docstring says of a function, in Google's style or NumPy's."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_GOOGLE = re.compile(r"^(Args|Arguments|Returns|Raises|Yields|Examples?|Notes?):\s*$")
_PARAMETERS = ("Args", "Arguments", "Parameters")
# "name: what it is", "name (int, optional): what it is", "name : int"
_ENTRY = re.compile(r"^\*{0,2}(\w+)[ \t]*(?:\([^()]*\))?[ \t]*:(.*)$")


@dataclass(frozen=True, slots=True)
class Description:
    """What a docstring says.

    Attributes
    ----------
    summary : of the function.
    parameters : by name.
    returned : of what it returns.
    """

    summary: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    returned: str = ""


def parse_docstring(text: str) -> Description:
    r"""Read a docstring, as ``inspect.getdoc`` returns it.

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
    """Cut a docstring into its sections: whether they are NumPy's, and their lines.

    What comes before the first has the title "".
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
    """Read descriptions of parameters; what is indented deeper goes on with one."""
    found: dict[str, list[str]] = {}
    beside: dict[str, str] = {}
    name, indent = "", 0
    for line in lines:
        if not line.strip():
            continue
        depth = len(line) - len(line.lstrip())
        entry = _ENTRY.match(line.strip())
        if entry and (not name or depth <= indent):
            name, indent = entry[1], depth
            beside[name] = entry[2].strip()
            # NumPy's has the type there, and the description below
            found[name] = [] if is_numpy else [beside[name]]
        elif is_numpy and depth == 0:  # a name without a type
            name, indent = line.strip(), depth
            found[name] = []
        elif name:
            found[name].append(line.strip())
    return {
        name: " ".join(filter(None, told)) or beside.get(name, "")
        for name, told in found.items()
    }
