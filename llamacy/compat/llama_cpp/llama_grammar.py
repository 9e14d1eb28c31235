"""llama-cpp-python's grammars: `llama_cpp.llama_grammar`.

A schema is not written as GBNF on its way: it is enforced as one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NoReturn, Self

from llamacy.arguments import short
from llamacy.errors import ArgumentError, ModelFileError, UnsupportedCallError

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
    """A grammar, which is checked where it is used.

    Attributes
    ----------
    options : dict
        The same as an option of `SamplingParams`.
    """

    def __init__(self, *, _grammar: str) -> None:
        self._grammar = _grammar
        self.options: dict[str, Any] = {"grammar": _grammar}

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
        """Return the grammar of a JSON schema; `verbose` makes no difference.

        Raises
        ------
        ArgumentError
            It is not JSON.
        """
        try:
            schema = json.loads(json_schema)
        except (TypeError, ValueError, RecursionError):
            found = short(json_schema)
            raise ArgumentError(f"json_schema: wanted JSON, found {found}") from None
        made = cls(_grammar=json_schema)
        made.options = {"json_schema": schema}
        return made


class ResponseFormat(LlamaGrammar):
    """A `response_format` in the place of a grammar."""

    def __init__(self, given: object) -> None:
        super().__init__(_grammar=str(given))
        self.options = {"response_format": given}


def constraint_options(grammar: object) -> dict[str, Any]:
    """Return the options of `SamplingParams` that a grammar stands for.

    Raises
    ------
    ArgumentError
        It is neither a grammar nor the text of one.
    """
    if grammar is None:
        return {}
    if isinstance(grammar, LlamaGrammar):
        return grammar.options
    if isinstance(grammar, str):
        return {"grammar": grammar}
    raise ArgumentError(f"grammar: wanted a LlamaGrammar, found {short(grammar)}")


def json_schema_to_gbnf(schema: str, prop_order: list[str] | None = None) -> NoReturn:
    """Raise UnsupportedCallError: llamacy enforces schemas without a grammar."""
    raise UnsupportedCallError(
        "json_schema_to_gbnf: llamacy writes no grammars; give the schema itself to "
        "LlamaGrammar.from_json_schema"
    )
