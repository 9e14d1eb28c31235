"""`llamacy perplexity`: how well a model predicts a text, or matches another model."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.divergence_report import CHUNK_HEADING, as_json, chunk_line, report
from llamacy.cli.failures import UsageError
from llamacy.cli.options import (
    JSON,
    ChunkSize,
    KVType,
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
    from llamacy.model.model import Model
    from llamacy.quality.statistics import KLDivergence, Perplexity


def perplexity(
    argument: ModelArgument = None,
    model: ModelOption = None,
    file: TextFile = None,
    n_ctx: ChunkSize = 512,
    chunks: MostChunks = -1,
    n_batch: Annotated[
        int,
        typer.Option(
            "-b", "--batch-size", metavar="N", help="Tokens prefilled together."
        ),
    ] = 2048,
    logits_file: Annotated[
        Path | None,
        typer.Option(
            "--save-logits",
            "--kl-divergence-base",
            metavar="FILE",
            help="Save the predictions; with --kl-divergence, compare with this file.",
        ),
    ] = None,
    kl_divergence: Annotated[
        bool,
        typer.Option(
            "--kl-divergence", help="Compare with the saved predictions of a model."
        ),
    ] = False,
    threads: Threads = None,
    kv_type: KVType = "f16",
    quantize: Quantize = None,
    json: JSON = False,
) -> None:
    """Measure the perplexity of a text, as llama.cpp's llama-perplexity does.

    The text is cut into chunks, and the predictions in the second half of each
    count. The perplexity so far is printed after each chunk, and the final
    estimate with its standard error at the end.

    With --kl-divergence, the model is compared with another, whose predictions
    this command or llama-perplexity saved in the file --kl-divergence-base. The
    text and the chunk size come from that file.
    """
    path, text = model_and_text(
        [argument], model, None, file, "text", reads_pipe=not kl_divergence
    )
    if kl_divergence and (logits_file is None or text is not None):
        raise UsageError(
            "--kl-divergence: wanted --kl-divergence-base FILE, which contains the text"
        )
    if not kl_divergence and text is None:
        raise UsageError("no text: give it with -f FILE or through a pipe")

    n_chunks = None if chunks < 0 else chunks
    options: dict[str, Any] = {"n_chunks": n_chunks, "n_batch": n_batch}
    if logits_file is not None and kl_divergence:
        from llamacy.quality.logits_file import context_of

        n_ctx = context_of(logits_file)
    with load_model(
        path, quantize, n_ctx=n_ctx, n_threads=threads, kv_type=kv_type
    ) as loaded:
        if logits_file is not None and kl_divergence:
            result = _compare(loaded, logits_file, options, json)
        else:
            options |= {"n_ctx": n_ctx, "save_logits": logits_file}
            result = _measure(loaded, text or "", options, json)
    if json:
        from json import dumps

        print(dumps({"model": path} | result, ensure_ascii=False))


def _measure(
    model: Model, text: str, options: dict[str, Any], quiet: bool
) -> dict[str, Any]:
    import llamacy
    from llamacy.cli.progress_bar import ProgressBar

    with _Output(quiet) as output, ProgressBar("perplexity") as progress:

        def show(so_far: Perplexity) -> None:
            output.add(f"[{so_far.n_chunks}]{so_far.value:.4f},")
            progress.describe(
                f"perplexity {so_far.value:.4f}, {so_far.n_chunks} chunks"
            )

        done = llamacy.perplexity(
            model, text, on_chunk=show, progress=progress, **options
        )
    if not quiet:
        print(f"\nFinal estimate: PPL = {done.value:.4f} +/- {done.error:.5f}")
    return {
        "perplexity": _finite(done.value),
        "error": _finite(done.error),
        "n_chunks": done.n_chunks,
        "n_ctx": done.n_ctx,
        "n_scored": done.n_scored,
        "running": [_finite(value) for value in done.running],
    }


def _compare(
    model: Model, base: Path, options: dict[str, Any], quiet: bool
) -> dict[str, Any]:
    import llamacy
    from llamacy.cli.progress_bar import ProgressBar

    with _Output(quiet) as output, ProgressBar("KL divergence") as progress:

        def show(so_far: KLDivergence) -> None:
            if so_far.n_chunks == 1:  # not earlier: the file may turn out not to match
                output.add(f"{CHUNK_HEADING}\n")
            output.add(f"{chunk_line(so_far)}\n")
            kld = so_far.kld.mean.value
            progress.describe(f"KL divergence {kld:.6f}, {so_far.n_chunks} chunks")

        done = llamacy.kl_divergence(
            model, base, on_chunk=show, progress=progress, **options
        )
    if not quiet:
        print(f"\n{report(done)}")
    return as_json(done)


def _finite(value: float) -> float | None:
    """Return `value`, or None for infinity and NaN, which JSON cannot express."""
    return value if math.isfinite(value) else None


class _Output:
    """Prints results as they come, or at the end if a progress bar is on the terminal.

    If the work is interrupted, the results so far are printed.
    """

    def __init__(self, quiet: bool) -> None:
        self._waits = sys.stderr.isatty()
        self._texts: list[str] = []
        self._print: Callable[[str], object] = lambda text: None
        if not quiet:
            self._print = lambda text: print(text, end="", flush=True)

    def __enter__(self) -> _Output:
        return self

    def __exit__(self, *_: object) -> None:
        self._print("".join(self._texts))

    def add(self, text: str) -> None:
        """Print `text`, now or later."""
        if self._waits:
            self._texts.append(text)
        else:
            self._print(text)
