"""Finding the targets of `$ref`: all in the same schema."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from llamacy.structured.schema.keywords import ASSERTIONS
from llamacy.structured.schema.places import Place

_CONSTANT = frozenset({"const", "default", "enum", "example", "examples"})
_MOST_IDS = 10_000
_MOST_STEPS = 20


class Target(NamedTuple):
    """A schema that others refer to.

    Attributes
    ----------
    node : object
        The schema.
    pointer : str
        Its JSON pointer as a fragment.
    """

    node: Any
    pointer: str


class References:
    """Finds what `$ref` refers to: pointers, anchors and names within the schema.

    Nothing is fetched.

    Parameters
    ----------
    root : mapping or bool
        The whole schema.
    """

    def __init__(self, root: Any) -> None:
        self._root = root
        self._named: dict[str, Target] | None = None

    def find(self, reference: object, at: Place) -> Target:
        """Return the target of a reference.

        Raises
        ------
        ConstraintError
            It is outside the schema, or there is no such thing.
        """
        if not isinstance(reference, str):
            at.refuse("a reference, such as '#/$defs/name'", reference)
        base, _, fragment = reference.partition("#")
        fragment = unquote(fragment)
        start = Target(self._root, "#")
        if base:
            start = self._name(base, at)
        if fragment and not fragment.startswith("/"):
            return self._name(f"#{fragment}", at)
        node, pointer = start
        for escaped in fragment.split("/")[1:]:
            key = escaped.replace("~1", "/").replace("~0", "~")
            if isinstance(node, Mapping) and key in node:
                node = node[key]
            elif isinstance(node, list | tuple) and key.isdecimal() and len(key) < 9:
                node = node[int(key)] if int(key) < len(node) else None
            else:
                at.refuse("a reference to a part of the schema", reference)
            pointer += f"/{escaped}"
        if not isinstance(node, Mapping | bool):
            at.refuse("a reference to a part of the schema", reference)
        return Target(node, pointer)

    def resolved(self, node: Any, at: Place) -> Any:
        """Return the target of a schema that is a reference alone, or else itself.

        Raises
        ------
        ConstraintError
            There is no such target.
        """
        for _ in range(_MOST_STEPS):
            is_reference = isinstance(node, Mapping) and "$ref" in node
            if not is_reference or node.keys() & (ASSERTIONS - {"$ref"}):
                break
            node = self.find(node["$ref"], at).node
        return node

    def _name(self, name: str, at: Place) -> Target:
        """Find a schema by its `$id` or `$anchor`."""
        if self._named is None:
            self._named = {}
            for target in _schemas(self._root):
                self._note(target)
        found = self._named.get(name) or self._named.get(name.rstrip("/"))
        if found is None:
            at.refuse("a reference within the schema: nothing is fetched", name)
        return found

    def _note(self, target: Target) -> None:
        assert self._named is not None
        for key in ("$id", "id", "$anchor", "$dynamicAnchor"):
            name = target.node.get(key)
            if isinstance(name, str):
                name = f"#{name}" if "nchor" in key else name.removesuffix("#")
                self._named.setdefault(name, target)


def _schemas(root: Any) -> Iterator[Target]:
    """Yield all dicts of a schema that may be schemas, the outer ones first."""
    pending = [Target(root, "#")]
    for _ in range(_MOST_IDS):
        if not pending:
            return
        node, pointer = pending.pop()
        if isinstance(node, Mapping):
            yield Target(node, pointer)
            items = [(k, v) for k, v in node.items() if k not in _CONSTANT]
        else:
            items = [(str(i), v) for i, v in enumerate(node)]
        for key, value in items:
            if isinstance(value, Mapping | list | tuple):
                escaped = str(key).replace("~", "~0").replace("/", "~1")
                pending.append(Target(value, f"{pointer}/{escaped}"))
