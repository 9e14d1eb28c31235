"""How a model on the hub is named: ``user/repo@revision:Q4_K_M``.

What may be left out: the revision (it is ``main`` then), and what follows the colon,
which is a type of weights or a file. A file may follow a slash as well. ``hf://``
before it says that no path is meant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llamacy.errors import ArgumentError

WRITTEN = "a name like user/repo, user/repo:Q4_K_M or user/repo/file.gguf"
SCHEME = "hf://"

# As the hub has it: letters, digits, and -_. inside.
_PART = r"[A-Za-z0-9_](?:[\w.\-]*[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"({_PART}/{_PART})((?:[@:/].*)?)", re.ASCII | re.DOTALL)
# Of revisions only those before a colon, and pull requests, may have a slash.
_REVISION = re.compile(r"@([^:@]+(?=:)|(?:refs/[a-z]+/)?[^:@/]+(?=/|$))(.*)", re.DOTALL)
_VARIANT = re.compile(r"[\w.\-]+", re.ASCII)


@dataclass(frozen=True)
class HubName:
    """What a name says.

    Attributes
    ----------
    repo : ``"user/repo"``.
    revision : a branch, tag, or commit (also its beginning); None is ``main``.
    variant : type of the weights, ``"Q4_K_M"``, in whatever case.
    file : path of a file in the repository. At most one of both is given.
    """

    repo: str
    revision: str | None = None
    variant: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        variant = f":{self.variant}" if self.variant else ""
        # After a slash it would seem to belong to a revision that has some.
        mark = ":" if "/" in revision else "/"
        file = f"{mark}{self.file}" if self.file else ""
        return f"{self.repo}{revision}{variant}{file}"


def parse_name(text: str) -> HubName | None:
    """Read a name; None if `text` is not written like one and will be a path.

    Raises
    ------
    ArgumentError : it begins like a name and goes on otherwise.

    Examples
    --------
    >>> parse_name("user/repo@v2:Q4_K_M")
    HubName(repo='user/repo', revision='v2', variant='Q4_K_M', file=None)
    >>> parse_name("./user/repo"), parse_name("models/7b.gguf")
    (None, None)
    """
    bare = text.removeprefix(SCHEME)
    forced = bare != text
    match = _REPOSITORY.fullmatch(bare)
    if match is None or not _is_repository(match[1]):
        if forced:
            raise _malformed(text)
        return None
    repo, rest = match.groups()
    revision = None
    if rest.startswith("@"):
        found = _REVISION.fullmatch(rest)
        if found is None or not is_safe(found[1]):
            raise _malformed(text)
        revision, rest = found.groups()
    if not rest:
        # The hub has no repository of such a name, but disks have such files.
        is_path = revision is None and not forced and repo.lower().endswith(".gguf")
        return None if is_path else HubName(repo, revision)
    mark, rest = rest[0], rest[1:]
    if rest.lower().endswith(".gguf") and is_safe(rest):
        return HubName(repo, revision, file=rest)
    if mark == ":" and _VARIANT.fullmatch(rest):
        return HubName(repo, revision, variant=rest)
    if mark == "/" and revision is None and not forced:
        return None
    raise _malformed(text)


def _malformed(text: str) -> ArgumentError:
    return ArgumentError(
        f"source: wanted a path or {WRITTEN} (@revision after repo), found {text!r}"
    )


def _is_repository(text: str) -> bool:
    return not (".." in text or "--" in text or text.endswith(".git"))


def is_safe(path: str) -> bool:
    """Whether `path` cannot lead out of the folder it is taken in, on any system."""
    return path.isprintable() and not (
        "\\" in path or ":" in path or {"", ".", ".."} & set(path.split("/"))
    )
