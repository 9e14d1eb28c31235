"""`llamacy quantize`: convert the weights of a model to another type."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.foreign_options import Command
from llamacy.cli.models import find_model
from llamacy.cli.option_groups import takes_groups
from llamacy.cli.options import JSON, Threads
from llamacy.cli.text_input import read_text

if TYPE_CHECKING:
    from llamacy.model_files.quantizing import QuantizedFile


@dataclass(frozen=True, kw_only=True)
class TypeFlags:
    """Options for the types of single tensors."""

    tensor_type: Annotated[
        list[str] | None,
        typer.Option(
            "--tensor-type",
            metavar="PATTERN=TYPE",
            help="Type of the tensors whose names have a match of the regular "
            "expression. May be repeated; the first match decides.",
        ),
    ] = None
    tensor_type_file: Annotated[
        Path | None,
        typer.Option(
            "--tensor-type-file",
            metavar="FILE",
            help="A file of PATTERN=TYPE, separated by spaces or newlines.",
        ),
    ] = None
    output_tensor_type: Annotated[
        str | None,
        typer.Option(
            "--output-tensor-type", metavar="TYPE", help="Type of the output matrix."
        ),
    ] = None
    token_embedding_type: Annotated[
        str | None,
        typer.Option(
            "--token-embedding-type",
            metavar="TYPE",
            help="Type of the token embedding.",
        ),
    ] = None
    leave_output_tensor: Annotated[
        bool,
        typer.Option("--leave-output-tensor", help="Keep the output matrix as it is."),
    ] = False
    pure: Annotated[
        bool, typer.Option("--pure", help="All matrices in TYPE, none in a finer type.")
    ] = False
    allow_requantize: Annotated[
        bool, typer.Option("--allow-requantize", hidden=True)
    ] = False  # it is always allowed, with a warning

    def options(self) -> dict[str, Any]:
        """Return the options of `llamacy.quantize`."""
        words = [("--tensor-type", word) for word in self.tensor_type or ()]
        if (file := self.tensor_type_file) is not None:
            words += [(str(file), word) for word in (read_text(file) or "").split()]
        types: dict[str, str] = {}
        for where, word in words:
            pattern, _, name = word.rpartition("=")
            if not pattern or not name:
                raise UsageError(f"{where}: wanted PATTERN=TYPE, found {word}")
            types.setdefault(pattern, name)
        return {
            "tensor_types": types,
            "output_tensor_type": self.output_tensor_type,
            "token_embedding_type": self.token_embedding_type,
            "leave_output_tensor": self.leave_output_tensor,
            "pure": self.pure,
        }


class QuantizeCommand(Command):
    """`llamacy quantize`, which knows which of its arguments was left out."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the command's name."""
        rest = super().parse_args(ctx, args)
        # a shell that completes a word knows only the first ones
        missing = None if ctx.resilient_parsing else _missing(**ctx.params)
        if missing:
            see = f"(see: {ctx.command_path} --help)"
            raise UsageError(f"Missing argument {missing} {see}")
        return rest


def _missing(
    *, target: str | None, type: str | None, dry_run: bool, **_: object
) -> str | None:
    """Name the argument that was left out; a dry run needs no OUT."""
    from llamacy.ggml.file_types import FILE_TYPES

    if target is None:
        return "'TYPE'" if dry_run else "'OUT'"
    if type is not None or dry_run:
        return None
    is_type = target.upper() in FILE_TYPES
    return f"'OUT', the file to write, before {target}" if is_type else "'TYPE'"


@takes_groups
def quantize(
    source: Annotated[
        str,
        typer.Argument(
            metavar="IN", help="GGUF file, folder of safetensors, or name on the hub."
        ),
    ],
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="OUT",
            show_default=False,
            help="The file to write; not for --dry-run.",
        ),
    ] = None,
    type: Annotated[
        str | None,
        typer.Argument(
            metavar="TYPE", show_default=False, help="Q4_K_M, Q8_0, F16 and so on."
        ),
    ] = None,
    imatrix: Annotated[
        Path | None,
        typer.Option(
            "--imatrix",
            metavar="FILE",
            help="Importance matrix: which weights matter. See: llamacy imatrix.",
        ),
    ] = None,
    types: TypeFlags = TypeFlags(),  # noqa: B008 -- frozen
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print every tensor's type and size; no file."),
    ] = False,
    threads: Threads = None,
    json: JSON = False,
) -> None:
    """Write a model with its weights in another type.

    OUT is replaced if it exists. The types, most precise first: F32, F16, BF16,
    Q8_0, Q6_K, Q5_K_M, Q5_K_S, Q5_1, Q5_0, Q4_K_M, Q4_K_S, Q4_1, Q4_0, IQ4_NL,
    NVFP4, IQ4_XS, MXFP4_MOE, Q3_K_L, Q3_K_M, IQ3_M, Q3_K_S, IQ3_S, IQ3_XS, IQ3_XXS,
    Q2_K, Q2_K_S, IQ2_M, IQ2_S, IQ2_XS, Q2_0, IQ2_XXS, TQ2_0, IQ1_M, TQ1_0, IQ1_S,
    Q1_0. Q4_K_M suits most models. IQ3_XXS, Q2_K_S, IQ2 and IQ1 need --imatrix; Q1_0,
    Q2_0, TQ1_0 and TQ2_0 are for models trained to have such weights.
    """
    import llamacy
    from llamacy.cli.progress_bar import ProgressBar

    new_type = type or target or ""  # a dry run needs no OUT
    new_path = os.path.expanduser(target) if type and target else None
    model = find_model(source)
    model.file_type(new_type, "TYPE")
    with ProgressBar("quantising") as progress:
        result = llamacy.quantize(
            model.path,
            new_path,
            new_type,
            imatrix=None if imatrix is None else os.path.expanduser(imatrix),
            **types.options(),
            dry_run=dry_run,
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

    if dry_run:
        _print_tensors(result)
    counts = ", ".join(f"{n} {name}" for name, n in result.tensor_types.items())
    print(
        f"{result.path or model.path}: {result.type}, "
        f"{in_units(result.source_bytes)} -> "
        f"{in_units(result.target_bytes)}, {bits:.2f} bits per weight ({counts})"
    )
    if result.needs_imatrix:
        print(f"{result.type} needs an importance matrix: --imatrix FILE")


def _print_tensors(result: QuantizedFile) -> None:
    from llamacy.cli.tables import in_units, print_table

    columns = ["tensor", "shape", "from", "to", "size", "new size", "weighed"]
    rows = [
        (
            each.name,
            " x ".join(map(str, each.shape)),
            each.source_type,
            each.type,
            in_units(each.source_bytes),
            in_units(each.target_bytes),
            "yes" if each.is_weighed else "",
        )
        for each in result.tensors
    ]
    print_table(columns, rows, right="size")
