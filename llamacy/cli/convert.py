"""`llamacy convert`: a model of another format as a GGUF file."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from llamacy.cli.options import JSON


def convert(
    source: Annotated[
        str, typer.Argument(metavar="IN", help="A ggml, ggmf or ggjt file of 2023.")
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    ctx: Annotated[
        int | None,
        typer.Option("--ctx", help="Tokens of context it was trained for (2048)."),
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option(
            "--eps", help="Of its norms (5e-6; LLaMA has 1e-6, LLaMA 2 1e-5)."
        ),
    ] = None,
    gqa: Annotated[
        int | None,
        typer.Option("--gqa", help="Query heads to a head of keys (as the file says)."),
    ] = None,
    json: JSON = False,
) -> None:
    """Write a model of another format as a GGUF file.

    IN is one of the files that LLaMA and Alpaca came in before there was GGUF; of
    several, the first. OUT is replaced if it is there already.
    """
    import llamacy
    from llamacy.cli.progress_bar import ProgressBar

    with ProgressBar("converting") as progress:
        written = llamacy.convert(
            source, target, n_ctx=ctx, eps=eps, gqa=gqa, progress=progress
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
