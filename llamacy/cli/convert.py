"""`llamacy convert`: a model of another format as a GGUF file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from llamacy.cli.options import JSON, Threads


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN",
            help="A folder of safetensors, its name on the hub, or an old file.",
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    type: Annotated[
        str | None,
        typer.Argument(
            metavar="TYPE", help="Q4_K_M, Q8_0 and so on; if left out, as they are."
        ),
    ] = None,
    ctx: Annotated[
        int | None,
        typer.Option("--ctx", help="Of an old file: tokens of context (2048)."),
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option("--eps", help="Of its norms (5e-6; LLaMA 1e-6, LLaMA 2 1e-5)."),
    ] = None,
    gqa: Annotated[
        int | None,
        typer.Option("--gqa", help="Query heads to a head of keys (as it says)."),
    ] = None,
    threads: Threads = None,
    json: JSON = False,
) -> None:
    """Write a model of another format as a GGUF file.

    IN is a folder as Hugging Face has them, with config.json and safetensors; or one
    of the files that LLaMA and Alpaca came in before there was GGUF, of several the
    first. OUT is replaced if it is there already. The types are those of quantize.
    """
    import llamacy
    from llamacy.cli.models import find_model, type_name
    from llamacy.cli.progress_bar import ProgressBar

    found = find_model(source)
    with ProgressBar("converting") as progress:
        written = llamacy.convert(
            found.path,
            target,
            type_name(found, type, "TYPE"),
            n_ctx=ctx,
            eps=eps,
            gqa=gqa,
            n_threads=threads,
            progress=progress,
        )
    if json:
        from json import dumps

        print(dumps(asdict(written), ensure_ascii=False))
        return
    from llamacy.cli.tables import in_units

    types = ", ".join(f"{n} {name}" for name, n in written.tensor_types.items())
    print(
        f"{written.path}: from {written.source_format}, "
        f"{in_units(written.n_bytes)} ({types})"
    )
    if written.n_rounded:
        print(f"scales rounded from float32 to float16: {written.n_rounded}")
