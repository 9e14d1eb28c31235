"""`llamacy quantize`: convert the weights of a model to another type."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.foreign_options import Command
from llamacy.cli.models import find_model
from llamacy.cli.options import JSON, Threads


class QuantizeCommand(Command):
    """`llamacy quantize`, which knows which of its arguments was left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the command's name."""
        try:
            return super().parse_args(ctx, args)
        except Exception as error:
            from llamacy.ggml.file_types import FILE_TYPES

            missing = getattr(getattr(error, "param", None), "name", None)
            target = str(ctx.params.get("target"))
            if missing != "type" or target.upper() not in FILE_TYPES:
                raise
            raise UsageError(
                f"Missing argument 'OUT', the file to write, before {target} "
                f"(see: {ctx.command_path} --help)"
            ) from error


def quantize(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="GGUF file, folder of safetensors, or name on the hub."
        ),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The file to write.")],
    type: Annotated[
        str, typer.Argument(metavar="TYPE", help="Q4_K_M, Q8_0, F16 and so on.")
    ],
    threads: Threads = None,
    json: JSON = False,
) -> None:
    """Write a model with its weights in another type.

    OUT is replaced if it exists. The types, most precise first: F32, F16, BF16,
    Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, Q4_K_M, Q4_K_S, Q4_1, Q4_0, NVFP4,
    Q3_K_L, Q3_K_M, Q3_K_S, Q2_K, Q1_0, Q2_0. Q4_K_M suits most models, Q1_0 and
    Q2_0 only those that were trained to have such weights.
    """
    import llamacy
    from llamacy.cli.progress_bar import ProgressBar

    model = find_model(source)
    model.file_type(type, "TYPE")
    with ProgressBar("quantising") as progress:
        result = llamacy.quantize(
            model.path,
            os.path.expanduser(target),
            type,
            n_threads=threads,
            progress=progress,
        )
    bits = 8 * result.target_bytes / result.n_params if result.n_params else 0.0
    if json:
        from json import dumps

        report = asdict(result) | {"bits_per_weight": round(bits, 3)}
        print(dumps(report, ensure_ascii=False))
        return
    from llamacy.cli.tables import in_units

    types = ", ".join(f"{n} {name}" for name, n in result.tensor_types.items())
    print(
        f"{result.path}: {result.type}, {in_units(result.source_bytes)} -> "
        f"{in_units(result.target_bytes)}, {bits:.2f} bits per weight ({types})"
    )
