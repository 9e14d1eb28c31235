"""`llamacy show`: what a model file says it is, without loading it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.options import JSON

if TYPE_CHECKING:
    from llamacy.formats.model_file import ModelFile

_N_SHOWN = 6  # elements of an array
_N_CHARACTERS = 72  # of a string, in the table


def show(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A GGUF file, or folder of safetensors."),
    ],
    full: Annotated[
        bool, typer.Option("--full", help="Show long arrays and texts whole.")
    ] = False,
    json: JSON = False,
) -> None:
    """Show a file's metadata, and its tensors' shapes and types."""
    from llamacy.model_files import open_model
    from llamacy.sources import locate

    with open_model(locate(file)) as opened:
        summary = _summary(opened)
        metadata = {
            key: _plain(value, None if full else _N_SHOWN)
            for key, value in opened.metadata.items()
        }
        tensors = [
            {
                "name": tensor.name,
                "type": tensor.type.name,
                "shape": list(tensor.shape),
                "bytes": tensor.n_bytes,
            }
            for tensor in opened.tensors.values()
        ]
    if json:
        from json import dumps

        result = {**summary, "metadata": metadata, "tensors": tensors}
        print(dumps(result, ensure_ascii=False))
    else:
        _print(summary, metadata, tensors, full)


def _summary(file: ModelFile) -> dict[str, Any]:
    from llamacy.formats.gguf import GGUFFile

    n_params = sum(math.prod(tensor.shape) for tensor in file.tensors.values())
    n_bytes = sum(tensor.n_bytes for tensor in file.tensors.values())
    return {
        "path": str(file.path),
        "format": file.format,
        "version": file.version if isinstance(file, GGUFFile) else None,
        "n_tensors": len(file.tensors),
        "n_params": n_params,
        "tensor_bytes": n_bytes,
        "bits_per_weight": round(8 * n_bytes / n_params, 3) if n_params else None,
    }


def _plain(value: Any, limit: int | None) -> Any:
    """`value` as JSON can hold it; of a long array its length and its beginning."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        items = [_plain(item, limit) for item in value[:limit]]
        if limit is None or len(value) <= limit:
            return items
        return {"length": len(value), "first": items}
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _print(
    summary: dict[str, Any],
    metadata: dict[str, Any],
    tensors: list[dict[str, Any]],
    full: bool,
) -> None:
    from llamacy.cli.tables import in_units, print_table

    print(
        f"{summary['path']}: {summary['format']}, "
        f"{summary['n_tensors']} tensors, {summary['n_params']:,} parameters, "
        f"{in_units(summary['tensor_bytes'])}"
        + (
            f", {bits:.2f} bits a weight"
            if (bits := summary["bits_per_weight"])
            else ""
        )
    )
    rows = [(key, _one_line(value, full)) for key, value in metadata.items()]
    print_table(["key", "value"], rows)
    if not tensors:
        return
    print_table(
        ["tensor", "type", "shape", "size"],
        [
            (
                tensor["name"],
                tensor["type"],
                " × ".join(map(str, tensor["shape"])),
                in_units(tensor["bytes"]),
            )
            for tensor in tensors
        ],
        right="shape size",
    )


def _one_line(value: Any, full: bool) -> str:
    """`value` for a cell of the table."""
    if isinstance(value, dict):
        first = ", ".join(map(repr, value["first"]))
        return f"[{first}, … {value['length']:,} in all]"
    text = repr(value) if isinstance(value, str) else str(value)
    if full or len(text) <= _N_CHARACTERS:
        return text
    return f"{text[:_N_CHARACTERS]}… {len(text):,} characters in all"
