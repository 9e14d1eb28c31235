"""`llamacy imatrix`: which weights of a model matter on a text, for quantize."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.options import (
    JSON,
    ChunkSize,
    ModelArgument,
    ModelOption,
    MostChunks,
    Quantize,
    TextFile,
    Threads,
    load_model,
)
from llamacy.cli.text_input import model_and_text

if TYPE_CHECKING:
    from llamacy.formats.imatrix.matrix import ImportanceMatrix


def imatrix(
    argument: ModelArgument = None,
    model: ModelOption = None,
    file: TextFile = None,
    target: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            "--output-file",
            metavar="FILE",
            help="The file to write; llama.cpp's older form if it ends in .dat.",
        ),
    ] = Path("imatrix.gguf"),
    n_ctx: ChunkSize = 512,
    chunks: MostChunks = -1,
    first_chunk: Annotated[
        int,
        typer.Option(
            "--chunk", "--from-chunk", metavar="N", help="Chunks of the text to skip."
        ),
    ] = 0,
    before: Annotated[
        list[Path] | None,
        typer.Option(
            "--in-file", metavar="FILE", help="Add an earlier result. May be repeated."
        ),
    ] = None,
    process_output: Annotated[
        bool,
        typer.Option("--process-output", help="Observe the output matrix as well."),
    ] = False,
    save_every: Annotated[
        int,
        typer.Option(
            "--output-frequency", "-ofreq", metavar="N", help="Save after N chunks."
        ),
    ] = 10,
    threads: Threads = None,
    quantize: Quantize = None,
    json: JSON = False,
) -> None:
    """Measure which weights of a model matter on a text.

    The result is an importance matrix, for quantize --imatrix here and in llama.cpp.
    The text should be like those that the model is for; 100 chunks are enough. It is
    saved as it grows; Ctrl-C keeps what there is, and --in-file with --chunk goes on.
    """
    import llamacy
    from llamacy.cli.progress_bar import ProgressBar

    path, text = model_and_text([argument], model, None, file, "text")
    if text is None:
        raise UsageError("no text: give it with -f FILE or through a pipe")
    new_path = os.path.expanduser(target)
    with (
        load_model(path, quantize, n_ctx=n_ctx, n_threads=threads) as loaded,
        ProgressBar("reading") as progress,
    ):
        try:
            result = llamacy.imatrix(
                loaded,
                text,
                new_path,
                n_ctx=n_ctx,
                n_chunks=None if chunks < 0 else chunks,
                first_chunk=first_chunk,
                process_output=process_output,
                before=[os.path.expanduser(each) for each in before or ()],
                dataset="" if file is None else os.path.basename(file),
                save_every=save_every,
                progress=progress,
            )
        except llamacy.Interrupted as interrupted:
            if interrupted.completion.n_chunks:
                _print(new_path, interrupted.completion, json)
            raise KeyboardInterrupt from None
    _print(new_path, result, json)


def _print(path: str, matrix: ImportanceMatrix, json: bool) -> None:
    unused = matrix.n_unused_experts
    if json:
        from json import dumps

        report = {
            "path": path,
            "n_matrices": len(matrix.entries),
            "n_chunks": matrix.n_chunks,
            "chunk_size": matrix.chunk_size,
            "n_unused_experts": unused,
        }
        print(dumps(report, ensure_ascii=False))
        return
    print(
        f"{path}: {len(matrix.entries)} matrices, "
        f"{matrix.n_chunks} chunks of {matrix.chunk_size} tokens"
    )
    if unused:
        print(f"experts that no token went through: {unused}; a longer text may help")
