"""Names of models on the hub: `user/repo@revision:Q4_K_M`.

The revision is optional and defaults to `main`. The optional part after the colon is a
type of weights or a file; a file may also follow a slash. The prefix `hf://` marks a
name that must not be taken for a path; so does the address of a web page of the hub.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from llamacy.arguments import short
from llamacy.errors import ArgumentError
from llamacy.hub.addresses import name_of_address

NAME_FORMS = "a name like user/repo, user/repo:Q4_K_M or user/repo/file.gguf"
SCHEME = "hf://"

# The hub's rule: letters and digits, with -_. in between.
_PART = r"[A-Za-z0-9_](?:[\w.\-]*[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"({_PART}/{_PART})((?:[@:/].*)?)", re.ASCII | re.DOTALL)
# A revision may have a slash only before a colon, or if it is a pull request.
_REVISION = re.compile(r"@([^:@]+(?=:)|(?:refs/[a-z]+/)?[^:@/]+(?=/|$))(.*)", re.DOTALL)
_VARIANT = re.compile(r"[\w.\-]+", re.ASCII)


@dataclass(frozen=True)
class HubName:
    """A parsed name, with at most one of `variant` and `file`.

    Attributes
    ----------
    repo : str
        `"user/repo"`.
    revision : str or None
        A branch, tag, or (abbreviated) commit; None is `main`.
    variant : str or None
        Type of the weights, such as `"Q4_K_M"`, in upper or lower case.
    file : str or None
        Path of a file in the repository.
    """

    repo: str
    revision: str | None = None
    variant: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        variant = f":{self.variant}" if self.variant else ""
        # if the revision has slashes, another one would make the file a part of it
        mark = ":" if "/" in revision else "/"
        file = f"{mark}{self.file}" if self.file else ""
        return f"{self.repo}{revision}{variant}{file}"


def parse_name(text: str) -> HubName | None:
    """Parse a name; return None if `text` does not look like one, but like a path.

    Raises
    ------
    ArgumentError
        `text` begins like a name, but the rest is invalid.

    Examples
    --------
    >>> parse_name("user/repo@v2:Q4_K_M")
    HubName(repo='user/repo', revision='v2', variant='Q4_K_M', file=None)
    >>> parse_name("./user/repo"), parse_name("models/7b.gguf")
    (None, None)
    >>> parse_name("https://huggingface.co/user/repo/tree/v2").revision
    'v2'
    """
    address = name_of_address(text)
    bare = text.removeprefix(SCHEME) if address is None else address
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
        # "user/file.gguf": repositories are not named like this, but files are
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
        f"source: wanted a path or {NAME_FORMS} (@revision after repo), "
        f"found {short(text)}"
    )


def _is_repository(text: str) -> bool:
    return not (".." in text or "--" in text or text.endswith(".git"))


def is_safe(path: str) -> bool:
    """Whether a relative path stays inside its folder, on any system."""
    return path.isprintable() and not (
        "\\" in path or ":" in path or {"", ".", ".."} & set(path.split("/"))
    )
