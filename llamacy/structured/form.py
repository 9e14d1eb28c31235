"""The form that a text must follow, as the caller said it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

Kind: TypeAlias = Literal["json", "regex", "choices", "grammar"]


@dataclass(frozen=True, slots=True)
class Form:
    """The form that a text must follow: plain data, to be pickled and compared.

    Attributes
    ----------
    kind : {"json", "regex", "choices", "grammar"}
        The language of `source`.
    source : str
        A JSON schema or a list of texts, as JSON; a regular expression; or a grammar,
        in GBNF or in Lark's notation.
    argument : str
        The option that it was given as, for errors.
    is_lenient : bool
        Whether keywords of a schema that cannot be enforced are left out.
    parser : type or None
        A pydantic class or adapter that the finished text is given to.
    start : str
        The part of the schema that the text follows, as a JSON pointer.
    """

    kind: Kind
    source: str
    argument: str
    is_lenient: bool = False
    parser: Any = field(default=None, compare=False)
    start: str = "#"
