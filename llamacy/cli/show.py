"""`llamacy show`: the contents of a model file, without loading it."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from llamacy.cli.adapter_facts import adapter_facts, adapter_line
from llamacy.cli.completion import model_names
from llamacy.cli.models import find_model, type_name
from llamacy.cli.options import JSON, KVType, Quantize
from llamacy.printable import printable

if TYPE_CHECKING:
    from llamacy.formats.lora.facts import PeftFolder
    from llamacy.formats.model_file import ModelFile
    from llamacy.model_files.sources import Source

_N_SHOWN = 6  # elements shown of an array
_N_CHARACTERS = 72  # characters shown of a string, in the table


def show(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="GGUF file, folder of safetensors, or name on the hub.",
            autocompletion=model_names,
        ),
    ],
    n_ctx: Annotated[
        int,
        typer.Option(
            "-c",
            "--ctx-size",
            min=0,
            metavar="N",
            help="Context size to compute memory for; 0 uses the model's own.",
        ),
    ] = 0,
    kv_type: KVType = "f16",
    quantize: Quantize = None,
    full: Annotated[
        bool, typer.Option("--full", help="Show long arrays and texts in full.")
    ] = False,
    json: JSON = False,
) -> None:
    """Show a file's memory needs, whether they fit here, its metadata and tensors.

    The memory needed is that of a process with the model and one text that fills the
    context. With --quantize, all sizes are those after quantising. Of a LoRA adapter,
    its rank and its base are shown.
    """
    source = find_model(file)
    with _opened(source, quantize) as opened:
        summary = _summary(opened)
        if (adapter := adapter_facts(opened)) is not None:
            summary["adapter"] = asdict(adapter)
        else:
            summary["memory"] = _memory(
                cast("ModelFile", opened), n_ctx or None, kv_type
            )
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


def _opened(
    source: Source, quantize: str | None
) -> AbstractContextManager[ModelFile | PeftFolder]:
    """Open a model, or an adapter."""
    from llamacy.formats.lora.facts import is_peft_folder, open_peft_folder
    from llamacy.model_files.opening import open_model_as

    if is_peft_folder(source.path):
        return open_peft_folder(source.path)
    return open_model_as(source.path, type_name(source, quantize))


def _summary(file: ModelFile | PeftFolder) -> dict[str, Any]:
    from llamacy.formats.gguf.file import GGUFFile

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


def _memory(file: ModelFile, n_ctx: int | None, kv_type: str) -> dict[str, Any]:
    """Return the memory that the model needs and that is free, or why not."""
    from llamacy.cli.fitting import fits
    from llamacy.errors import FormatError
    from llamacy.model_files.inspecting import inspect_file
    from llamacy.system.memory import available_memory

    try:
        info = inspect_file(file)
    except FormatError as error:
        return {"unknown": str(error)}
    needed, available = info.memory_bytes(n_ctx, kv_type), available_memory()
    longest = available and info.longest_context(available, kv_type)
    return {
        "weights_bytes": info.weights_bytes,
        "mapped_bytes": info.mapped_bytes,
        "buffer_bytes": info.buffer_bytes,
        "n_ctx": n_ctx or info.n_ctx_train,
        "n_ctx_train": info.n_ctx_train,
        "window": info.window,
        "kv_bytes": {kind: info.kv_bytes(n_ctx, kind) for kind in info.kv_page_bytes},
        "state_bytes": info.state_bytes,
        "draft_bytes": info.draft_bytes,
        "kv_type": kv_type,
        "needed_bytes": needed,
        "available_bytes": available,
        "fits": fits(needed, available),
        "longest_ctx": longest,
    }


def _plain(value: Any, limit: int | None) -> Any:
    """Return `value` for JSON; a long array as its length and its beginning."""
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
        f"{printable(summary['path'])}: {summary['format']}, "
        f"{summary['n_tensors']} tensors, {summary['n_params']:,} parameters, "
        f"{in_units(summary['tensor_bytes'])}"
        + (
            f", {bits:.2f} bits per weight"
            if (bits := summary["bits_per_weight"])
            else ""
        )
    )
    if "adapter" in summary:
        print(adapter_line(**summary["adapter"]))
    else:
        print(_memory_line(summary["memory"]))
        if "fits" in summary["memory"]:
            print(_fits_line(summary["memory"]))
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


def _memory_line(memory: dict[str, Any]) -> str:
    from llamacy.cli.tables import in_units

    if "unknown" in memory:
        return f"memory: unknown, as the model cannot be loaded: {memory['unknown']}"
    kinds = memory["kv_bytes"].items()
    context = ", ".join(f"{in_units(n_bytes)} as {kind}" for kind, n_bytes in kinds)
    window = memory["window"]
    return (
        f"memory: weights {in_units(memory['weights_bytes'])}"
        + (
            f", and {in_units(mapped)} that stay in the file"
            if (mapped := memory["mapped_bytes"])
            else ""
        )
        + f"; a context of {memory['n_ctx']:,} tokens {context}"
        + (
            f", of which {in_units(states)} for the states of recurrent layers"
            if (states := memory["state_bytes"])
            else ""
        )
        + (f", with a window of {window:,}" if window is not None else "")
        + (
            f"; the model was trained on at most {trained:,}"
            if memory["n_ctx"] > (trained := memory["n_ctx_train"])
            else ""
        )
    )


def _fits_line(memory: dict[str, Any]) -> str:
    from llamacy.cli.fitting import YES_OR_NO
    from llamacy.cli.tables import in_units

    needed = (
        f"{in_units(memory['needed_bytes'])} needed, with {memory['kv_type']} keys "
        "and values"
    )
    if memory["available_bytes"] is None:
        return (
            f"fits here: unknown ({needed}; this system does not say how much is free)"
        )
    free = f"{in_units(memory['available_bytes'])} free"
    line = f"fits here: {YES_OR_NO[memory['fits']]} ({needed}; {free})"
    longest = memory["longest_ctx"]
    if memory["fits"]:
        return line
    if not longest:
        return f"{line}; the weights alone do not fit"
    return f"{line}; up to {longest:,} tokens of context fit: -c {longest}"


def _one_line(value: Any, full: bool) -> str:
    """Return `value` as text for a cell of the table."""
    if isinstance(value, dict):
        first = ", ".join(map(repr, value["first"]))
        return f"[{first}, … {value['length']:,} in all]"
    text = repr(value) if isinstance(value, str) else str(value)
    if full or len(text) <= _N_CHARACTERS:
        return text
    return f"{text[:_N_CHARACTERS]}… {len(text):,} characters in all"
