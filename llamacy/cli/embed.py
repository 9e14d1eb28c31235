"""`llamacy embed`: texts to vectors, one by one or a whole file of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.options import (
    ModelArgument,
    ModelOption,
    Quantize,
    Threads,
    load_model,
)
from llamacy.cli.text_input import model_and_words
from llamacy.cli.text_lines import Line, TextLines

if TYPE_CHECKING:
    from llamacy.cli.vector_store import VectorStore
    from llamacy.model.model import Model

_N_TEXTS: Final = 512
"""Texts that are embedded together, and lost if the command is ended meanwhile."""


def embed(
    argument: ModelArgument = None,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TEXT]...", help="Texts, if not in a file."),
    ] = None,
    model: ModelOption = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "-f", "--file", help="Read texts from a file, one a line; - reads stdin."
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(
            "--column",
            metavar="NAME",
            help="Lines are JSON objects: the field with the text.",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The file to write: .jsonl, .npy or .parquet.",
        ),
    ] = None,
    pooling: Annotated[
        str | None,
        typer.Option(
            "--pooling",
            metavar="KIND",
            show_default="the model's",
            help="mean, cls or last.",
        ),
    ] = None,
    dimensions: Annotated[
        int | None,
        typer.Option(
            "--dimensions",
            metavar="N",
            show_default="all",
            help="Keep the first N numbers.",
        ),
    ] = None,
    normalize: Annotated[
        bool | None,
        typer.Option(
            "--normalize/--no-normalize",
            show_default="yes, unless the makers compare otherwise",
            help="Whether to divide vectors by their norms.",
        ),
    ] = None,
    prompt_name: Annotated[
        str | None,
        typer.Option(
            "--prompt-name",
            metavar="NAME",
            help="A prompt of the model's to put before each text, such as query.",
        ),
    ] = None,
    prompt: Annotated[
        str | None, typer.Option("--prompt", help="Text to put before each text.")
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
            help="Most tokens of a text.",
        ),
    ] = None,
    threads: Threads = None,
    quantize: Quantize = None,
) -> None:
    """Turn texts into vectors that are near for similar meanings.

    Texts of the command line are printed as JSON, a line each, and so are those of a
    file without -o. With -o, a run that was ended, by Ctrl-C say, goes on where it was
    when it is started again.
    """
    path, texts = model_and_words(argument, words, model)
    if texts and file is not None:
        raise UsageError("-f: wanted texts in a file or as arguments, found both")
    options = {
        "pooling": pooling,
        "dimensions": dimensions,
        "normalize": normalize,
        "prompt_name": prompt_name,
        "prompt": prompt,
        "truncate": truncate,
    }
    if texts and (column is not None or target is not None):
        name = "--column" if column is not None else "-o"
        raise UsageError(f"{name}: wanted -f FILE beside it, found texts")
    lines = None if texts else TextLines(file or Path("-"), column)
    if target is not None:
        from llamacy.cli.vector_formats import writer_of

        target = os.path.expanduser(target)
        writer_of(target)
        if file is not None and os.path.exists(target) and file.exists():
            if os.path.samefile(file, target):
                raise UsageError(f"-o: wanted another file than -f, found {target}")
    with load_model(path, quantize, n_ctx=n_ctx, n_threads=threads) as loaded:
        if lines is None:
            _print(loaded, texts, options)
        elif target is None:
            _print_lines(loaded, lines, options)
        else:
            _write(loaded, lines, target, options)


def _print(model: Model, texts: list[str], options: dict[str, Any]) -> None:
    from llamacy.cli.vector_formats import json_line

    vectors = model.embed(texts, **options)
    _check_vectors(vectors)
    for index, vector in enumerate(vectors):
        print(json_line(index, vectors.token_counts[index], vector))


def _print_lines(model: Model, lines: TextLines, options: dict[str, Any]) -> None:
    from llamacy.cli.vector_formats import json_line

    remaining = iter(lines)
    while some := list(islice(remaining, _N_TEXTS)):
        vectors = _embed(model, lines, some, options)
        for index, vector in enumerate(vectors):
            n_tokens = vectors.token_counts[index]
            print(json_line(some[index].number - 1, n_tokens, vector))


def _write(
    model: Model, lines: TextLines, target: str, options: dict[str, Any]
) -> None:
    """Embed a file's texts, or those that an earlier run has left, and write them."""
    from llamacy.cli.progress_bar import ProgressBar
    from llamacy.cli.vector_formats import write
    from llamacy.cli.vector_store import VectorStore

    nothing = model.embed([], **options)
    _check_vectors(nothing)
    n_dim = nothing.shape[1]
    with VectorStore(target, _run(model, options), n_dim) as store:
        n_before = store.n_done
        with ProgressBar("embedding") as progress:
            remaining = _skipped(lines, store)
            while some := list(islice(remaining, _N_TEXTS)):
                vectors = _embed(model, lines, some, options)
                texts = [line.text for line in some]
                store.add(texts, vectors.token_counts, vectors)
                progress(some[-1].share)
        write(target, store, n_dim)
        store.remove()
        found = f", {n_before:,} of them from before" if n_before else ""
        print(f"{target}: {store.n_done:,} texts{found}, {n_dim} numbers each")


def _run(model: Model, options: dict[str, Any]) -> dict[str, Any]:
    """Return all that vectors depend on, but for the texts."""
    recipe = model.recipe
    known = "" if recipe is None else recipe.fingerprint
    return {"model": known, "ctx-size": model.n_ctx, **options}


def _skipped(lines: TextLines, store: VectorStore) -> Iterator[Line]:
    """Yield the lines after those that the store has.

    Raises
    ------
    UsageError
        The lines before are others than those that it has.
    """
    remaining = iter(lines)
    n_seen = 0
    for line in islice(remaining, store.n_done):
        if not store.has(n_seen, line.text):
            raise UsageError(
                f"{lines.place(line.number)}: another text than in {store.path}: "
                "remove that file to begin anew"
            )
        n_seen += 1
    if n_seen < store.n_done:
        raise UsageError(
            f"{lines.name}: wanted at least the {store.n_done} texts of {store.path}, "
            f"found {n_seen}: remove that file to begin anew"
        )
    yield from remaining


def _embed(
    model: Model, lines: TextLines, some: list[Line], options: dict[str, Any]
) -> Any:
    with lines.named(some):
        vectors = model.embed([line.text for line in some], **options)
    _check_vectors(vectors)
    return vectors


def _check_vectors(vectors: Any) -> None:
    if isinstance(vectors, list):
        raise UsageError("--pooling: wanted mean, cls or last, found none")
