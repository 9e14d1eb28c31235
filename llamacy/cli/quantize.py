"""`llamacy quantize`: a model file with its weights in another type."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from llamacy.cli.models import find_model
from llamacy.cli.options import JSON, Threads


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

    OUT is replaced if it is there already. The types, finest first:
    F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, Q4_K_M, Q4_K_S,
    Q4_1, Q4_0, Q3_K_L, Q3_K_M, Q3_K_S, Q2_K. Q4_K_M suits most models.
    """
    import llamacy
    from llamacy.cli.progress_bar import ProgressBar

    found = find_model(source)
    found.file_type(type, "TYPE")
    with ProgressBar("quantising") as progress:
        written = llamacy.quantize(
            found.path, target, type, n_threads=threads, progress=progress
        )
    bits = 8 * written.target_bytes / written.n_params if written.n_params else 0.0
    if json:
        from json import dumps

        result = asdict(written) | {"bits_per_weight": round(bits, 3)}
        print(dumps(result, ensure_ascii=False))
        return
    from llamacy.cli.tables import in_units

    types = ", ".join(f"{n} {name}" for name, n in written.tensor_types.items())
    print(
        f"{written.path}: {written.type}, {in_units(written.source_bytes)} -> "
        f"{in_units(written.target_bytes)}, {bits:.2f} bits a weight ({types})"
    )
