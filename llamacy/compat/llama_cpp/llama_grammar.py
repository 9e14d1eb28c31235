"""llama-cpp-python's grammars: `llama_cpp.llama_grammar`.

Scripts may import and make them; a call that is given one raises UnsupportedCallError,
as llamacy does not constrain texts yet.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn, Self

from llamacy.errors import ModelFileError, UnsupportedCallError

LLAMA_GRAMMAR_DEFAULT_ROOT = "root"

JSON_GBNF = r"""
root   ::= ws value ws
value  ::= object | array | string | number | "true" | "false" | "null"
object ::= "{" ws (pair (ws "," ws pair)*)? ws "}"
pair   ::= string ws ":" ws value
array  ::= "[" ws (value (ws "," ws value)*)? ws "]"
string ::= "\"" ([^"\\\x00-\x1F] | "\\" (["\\/bfnrt] | "u" hex hex hex hex))* "\""
hex    ::= [0-9a-fA-F]
number ::= "-"? ("0" | [1-9] [0-9]*) ("." [0-9]+)? ([eE] [-+]? [0-9]+)?
ws     ::= [ \t\n\r]*
"""


class LlamaGrammar:
    """Keeps a grammar's text, unread."""

    def __init__(self, *, _grammar: str) -> None:
        self._grammar = _grammar

    @classmethod
    def from_string(cls, grammar: str, verbose: bool = True) -> Self:
        """Return a grammar in GBNF; `verbose` makes no difference."""
        return cls(_grammar=grammar)

    @classmethod
    def from_file(cls, file: str | os.PathLike[str], verbose: bool = True) -> Self:
        """Return the grammar of a file in GBNF; `verbose` makes no difference.

        Raises
        ------
        ModelFileError
            The file cannot be read.
        """
        try:
            return cls(_grammar=Path(file).read_text(encoding="utf-8"))
        except OSError as error:
            raise ModelFileError(error.errno, error.strerror, os.fspath(file)) from None

    @classmethod
    def from_json_schema(cls, json_schema: str, verbose: bool = True) -> Self:
        """Return the grammar of a JSON schema; `verbose` makes no difference."""
        return cls(_grammar=json_schema)


def json_schema_to_gbnf(schema: str, prop_order: list[str] | None = None) -> NoReturn:
    """Raise UnsupportedCallError: llamacy does not write grammars."""
    raise UnsupportedCallError("json_schema_to_gbnf: llamacy has no grammars yet")
