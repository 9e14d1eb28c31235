"""`llamacy tokenize`: the tokens of a text in a model's vocabulary."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from llamacy.cli.completion import model_names
from llamacy.cli.failures import UsageError
from llamacy.cli.models import find_model
from llamacy.cli.options import JSON
from llamacy.cli.text_input import check_text, read_text


def tokenize(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="GGUF file or folder, or a name on the hub.",
            autocompletion=model_names,
        ),
    ],
    text: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="The text, if not piped in.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option("-f", "--file", help="Read the text from a file.")
    ] = None,
    special: Annotated[
        bool, typer.Option("--special", help="Parse control tokens such as </s>.")
    ] = False,
    no_bos: Annotated[
        bool, typer.Option("--no-bos", help="Leave out the beginning-of-text token.")
    ] = False,
    json: JSON = False,
) -> None:
    """Tokenize a text: print the ids of its tokens and their pieces of text."""
    if text is not None and file is not None:
        raise UsageError("more than one text")
    text = check_text(text) if text is not None else read_text(file)
    if text is None:
        raise UsageError("no text: give it as an argument or through a pipe")

    from llamacy import load_tokenizer

    tokenizer = load_tokenizer(find_model(model).path)
    ids = tokenizer.encode(
        text, add_bos=False if no_bos else None, parse_special=special
    )
    pieces = [tokenizer.piece(token) for token in ids]
    if json:
        from json import dumps

        result = {"n_tokens": len(ids), "ids": ids, "pieces": pieces}
        print(dumps(result, ensure_ascii=False))
    else:
        for token, piece in zip(ids, pieces, strict=True):
            print(f"{token:8} {piece!r}")
