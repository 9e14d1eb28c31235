"""`llamacy rerank`: documents in the order in which they answer a query."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Annotated

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.options import (
    JSON,
    ModelArgument,
    ModelOption,
    Quantize,
    Threads,
    load_model,
)
from llamacy.cli.text_input import model_and_words
from llamacy.cli.text_lines import TextLines


def rerank(
    argument: ModelArgument = None,
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="QUERY [DOCUMENT]...",
            help="The query, and documents, if not in a file.",
        ),
    ] = None,
    model: ModelOption = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "-f",
            "--file",
            help="Read documents from a file, one a line; - reads stdin.",
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            metavar="NAME",
            help="Lines are JSON objects: the field with the document.",
        ),
    ] = None,
    top_n: Annotated[
        int | None,
        typer.Option(
            "-n", "--top-n", metavar="N", show_default="all", help="Print the best N."
        ),
    ] = None,
    instruction: Annotated[
        str | None,
        typer.Option("--instruction", help="The task, for models that are told of it."),
    ] = None,
    truncate: Annotated[
        bool, typer.Option("--truncate", help="Cut texts that are too long.")
    ] = False,
    n_ctx: Annotated[
        int | None,
        typer.Option(
            "-c",
            "--ctx-size",
            metavar="N",
            show_default="the model's",
            help="Most tokens of a query and a document.",
        ),
    ] = None,
    threads: Threads = None,
    quantize: Quantize = None,
    json: JSON = False,
) -> None:
    """Rank documents by how well they answer a query, the best first.

    The model is a reranker: a cross-encoder, or one of Qwen's. Each line has the score,
    the document's number, from 0, and the document.
    """
    from llamacy.cli.progress_bar import ProgressBar

    path, texts = model_and_words(argument, words, model)
    if not texts:
        raise UsageError("no query: give it as an argument")
    query, *documents = texts
    if documents and (file is not None or column is not None):
        raise UsageError("-f: wanted documents in a file or as arguments, found both")
    naming: AbstractContextManager[None] = nullcontext()
    if not documents:
        lines = TextLines(file or Path("-"), column)
        read = list(lines)
        documents, naming = [line.text for line in read], lines.named(read)
    with (
        naming,
        load_model(path, quantize, n_ctx=n_ctx, n_threads=threads) as loaded,
        ProgressBar("ranking") as progress,
    ):
        ranking = loaded.rerank(
            query,
            documents,
            top_n=top_n,
            instruction=instruction,
            truncate=truncate,
            progress=progress,
        )
    for index, score in ranking:
        if json:
            from json import dumps

            found = {"index": index, "score": score, "document": documents[index]}
            print(dumps(found, ensure_ascii=False))
        else:
            print(f"{score:9.6f} {index:5} {documents[index]}")
