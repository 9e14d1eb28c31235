"""Options that several commands share, with the names people's hands know."""

from __future__ import annotations

from typing import Annotated

import typer

Threads = Annotated[
    int | None,
    typer.Option(
        "-t",
        "--threads",
        metavar="N",
        show_default="physical cores",
        help="Threads to compute with.",
    ),
]
KVType = Annotated[
    str,
    typer.Option(
        "--kv-type", metavar="TYPE", help="Type of the KV cache: f16, f32 or q8_0."
    ),
]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
