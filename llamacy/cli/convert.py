"""`llamacy convert`: convert a model of another format to a GGUF file."""

from __future__ import annotations

import os
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
            help="Folder of safetensors, its name on the hub, or a pre-GGUF file.",
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    type: Annotated[
        str | None,
        typer.Argument(
            metavar="TYPE", help="Q4_K_M, Q8_0 and so on; unchanged if left out."
        ),
    ] = None,
    ctx: Annotated[
        int | None,
        typer.Option("--ctx", help="Old file: context size (default 2048)."),
    ] = None,
    eps: Annotated[
        float | None,
        typer.Option(
            "--eps",
            help="Old file: epsilon of the norms (default 5e-6; LLaMA 1e-6, LLaMA 2 "
            "1e-5).",
        ),
    ] = None,
    gqa: Annotated[
        int | None,
        typer.Option(
            "--gqa", help="Old file: query heads per KV head (default from the file)."
        ),
    ] = None,
    threads: Threads = None,
    json: JSON = False,
) -> None:
    """Convert a model of another format to a GGUF file.

    IN is a Hugging Face folder with config.json and safetensors, or a file of the
    formats before GGUF, in which LLaMA and Alpaca were distributed: the first, if
    there are several. OUT is replaced if it exists. For the types, see quantize.
    """
    import llamacy
    from llamacy.cli.models import find_model, type_name
    from llamacy.cli.progress_bar import ProgressBar

    model = find_model(source)
    with ProgressBar("converting") as progress:
        result = llamacy.convert(
            model.path,
            os.path.expanduser(target),
            type_name(model, type, "TYPE"),
            n_ctx=ctx,
            eps=eps,
            gqa=gqa,
            n_threads=threads,
            progress=progress,
        )
    if json:
        from json import dumps

        print(dumps(asdict(result), ensure_ascii=False))
        return
    from llamacy.cli.tables import in_units

    types = ", ".join(f"{n} {name}" for name, n in result.tensor_types.items())
    print(
        f"{result.path}: from {result.source_format}, "
        f"{in_units(result.n_bytes)} ({types})"
    )
    if result.n_rounded:
        print(f"scales rounded from float32 to float16: {result.n_rounded}")
