"""A translated schema, and the parts of it that are looked at again."""

from __future__ import annotations

from typing import Any, NamedTuple

from llamacy.structured.schema.places import Place


class Part(NamedTuple):
    """A part of a schema.

    Attributes
    ----------
    at : Place
        Its place in the schema as it was given.
    node : object
        Its translation.
    """

    at: Place
    node: Any


class Overlap(NamedTuple):
    """A declared property that a pattern may be for as well.

    Attributes
    ----------
    at : Place
        Its place.
    key : str
        The property.
    pattern : str
        The pattern of keys.
    node : dict
        The schema that its value must fit if the pattern fits the key.
    """

    at: Place
    key: str
    pattern: str
    node: dict[str, Any]


class Translated(NamedTuple):
    """A schema that llguidance enforces.

    Attributes
    ----------
    schema : dict
        With all that it refers to in `$defs`.
    parts : list of Part
        Inner ones first: for finding the place of an error.
    properties : list of Part
        Properties that perhaps nothing fits: llguidance would leave them out of their
        objects without an error.
    overlaps : list of Overlap
        More of these.
    """

    schema: dict[str, Any]
    parts: list[Part]
    properties: list[Part]
    overlaps: list[Overlap]
