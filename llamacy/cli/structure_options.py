"""Options of `llamacy run` that make the text follow a form."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.text_input import read_text

_option = partial(typer.Option, rich_help_panel="Form of the text")


@dataclass(frozen=True, kw_only=True)
class StructureFlags:
    """Forms that the text may be made to follow, of which a command has one."""

    json_schema: Annotated[
        str | None,
        _option(
            "-j",
            "--json-schema",
            metavar="FILE|JSON",
            help="Write JSON that follows this schema; {} is any JSON.",
        ),
    ] = None
    grammar_file: Annotated[
        Path | None,
        _option(metavar="FILE", help="Follow a grammar, in GBNF or Lark's notation."),
    ] = None
    regex: Annotated[
        str | None,
        _option(metavar="REGEX", help="Write a text that matches as a whole."),
    ] = None

    def options(self) -> dict[str, Any]:
        """Return the form as an option of `SamplingParams`, checked; empty without.

        Raises
        ------
        UsageError
            Two forms are given, or the schema is not JSON.
        ModelFileError
            A file cannot be read.
        ConstraintError
            The form cannot be enforced.
        MissingPackageError
            llguidance is not installed.
        """
        given = {
            "--json-schema": self.json_schema,
            "--grammar-file": self.grammar_file,
            "--regex": self.regex,
        }
        names = [name for name, value in given.items() if value is not None]
        if len(names) > 1:
            raise UsageError(f"{' and '.join(names)}: wanted one of them")
        if not names:
            return {}
        options: dict[str, Any] = {"regex": self.regex}
        if self.json_schema is not None:
            options = {"json_schema": _schema(self.json_schema)}
        elif self.grammar_file is not None:
            options = {"grammar": read_text(self.grammar_file)}
        _check(options)
        return options


def _schema(given: str) -> Any:
    """Return the schema that a word is, or that is in the file of its name."""
    text = given if given.lstrip().startswith("{") else read_text(Path(given))
    try:
        return json.loads(text or "")
    except (ValueError, RecursionError) as error:
        raise UsageError(f"--json-schema: wanted JSON: {error}") from None


def _check(options: dict[str, Any]) -> None:
    """Check a form as far as it does not depend on the model, which need not load."""
    from llamacy.sampling import SamplingParams
    from llamacy.structured.grammar import grammar_of
    from llamacy.structured.library import llguidance

    llguidance()
    form = SamplingParams(**options).form
    assert form is not None
    grammar_of(form)
