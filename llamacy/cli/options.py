"""Options that several commands share, under the names that llama.cpp made familiar."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.completion import model_names
from llamacy.cli.failures import UsageError

if TYPE_CHECKING:
    from llamacy.model.model import Model

ModelArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="GGUF file, folder, or name on the hub.",
        autocompletion=model_names,
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "-t",
        "--threads",
        metavar="N",
        show_default="physical cores",
        help="Number of threads.",
    ),
]
KVType = Annotated[
    str,
    typer.Option(
        "--kv-type", metavar="TYPE", help="Type of the KV cache: f16, f32 or q8_0."
    ),
]
ModelOption = Annotated[
    str | None,
    typer.Option(
        "-m", "--model", metavar="FILE", help="The model, instead of the argument."
    ),
]
TextFile = Annotated[
    Path | None,
    typer.Option("-f", "--file", help="Read the text from a file; - reads stdin."),
]
ChunkSize = Annotated[
    int, typer.Option("-c", "--ctx-size", metavar="N", help="Tokens per chunk.")
]
MostChunks = Annotated[
    int, typer.Option("--chunks", metavar="N", help="Most chunks to read; -1: all.")
]
Quantize = Annotated[
    str | None,
    typer.Option(
        "--quantize",
        metavar="TYPE",
        show_default="unchanged",
        help="Quantise the weights while loading: Q4_K_M, Q8_0 and so on.",
    ),
]
MaxActive = Annotated[
    int | None,
    typer.Option(
        "--max-active",
        metavar="N",
        min=1,
        show_default="16 to 64, by threads and memory",
        help="Most texts that are generated together.",
    ),
]
JSON = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@dataclass(frozen=True, kw_only=True)
class LoadingFlags:
    """Options for loading a model."""

    threads: Threads = None
    n_ctx: Annotated[
        int,
        typer.Option(
            "-c",
            "--ctx-size",
            metavar="N",
            help="Context size in tokens; 0 uses the model's own.",
        ),
    ] = 0
    kv_type: KVType = "f16"
    quantize: Quantize = None
    draft: Annotated[
        str | None,
        typer.Option(
            "--draft",
            "-md",
            "--model-draft",
            metavar="MODEL",
            help="A smaller model with the same tokens, which drafts for this one.",
        ),
    ] = None
    lora: Annotated[
        list[str] | None,
        typer.Option(
            "--lora",
            metavar="FILE",
            help="Apply a LoRA adapter: a GGUF file or a folder. May be repeated.",
        ),
    ] = None
    lora_scaled: Annotated[
        list[str] | None,
        typer.Option(
            "--lora-scaled",
            metavar="FILE:SCALE",
            help="Apply a LoRA adapter with a scale. May be repeated.",
        ),
    ] = None

    def load(self, path: str, **options: Any) -> Model:
        """Load a model by its path or its name, with more options of `llamacy.load`."""
        return load_model(path, self.quantize, **options, **self._options())

    def arguments(self, path: str, **options: Any) -> tuple[str, dict[str, Any]]:
        """Return the arguments of `llamacy.load` with which other processes load it."""
        from llamacy.cli.models import find_model, type_name
        from llamacy.model.pickling import lasting_source

        source = find_model(path)
        options |= self._options()
        options["quantize"] = type_name(source, self.quantize)
        options["lora"] = [(os.path.abspath(p), scale) for p, scale in options["lora"]]
        if options["draft"] is not None:
            options["draft"] = os.path.abspath(options["draft"])
        return lasting_source(path, source.path), options

    def _options(self) -> dict[str, Any]:
        return {
            "n_ctx": self.n_ctx or None,
            "n_threads": self.threads,
            "kv_type": self.kv_type,
            "draft": self._draft_path(),
            "lora": self._adapters(),
        }

    def _draft_path(self) -> str | None:
        """Return the path of the draft model, of which a name may be given."""
        if self.draft is None:
            return None
        from llamacy.cli.models import find_model

        return str(find_model(self.draft).path)

    def _adapters(self) -> list[tuple[str, float]]:
        adapters = [(path, 1.0) for path in self.lora or ()]
        for option in self.lora_scaled or ():
            path, _, scale = option.rpartition(":")
            try:
                adapters.append((path, float(scale)))
            except ValueError:
                path = ""
            if not path:
                raise UsageError(f"--lora-scaled: wanted FILE:SCALE, found {option}")
        return adapters


def load_model(path: str, quantize: str | None = None, **options: Any) -> Model:
    """Load a model by its path or its name, with progress bars at a terminal.

    Parameters
    ----------
    path : str
        Path or name of the model.
    quantize : str, optional
        Type to quantise to; None takes it from the model's name, if that has one.
    **options : Any
        Further options of `llamacy.load`.
    """
    import llamacy
    from llamacy.cli.models import find_model, type_name
    from llamacy.cli.progress_bar import ProgressBar

    source = find_model(path)
    with ProgressBar(f"loading {os.path.basename(path.rstrip(os.sep))}") as progress:
        return llamacy.load(
            source.path,
            quantize=type_name(source, quantize),
            progress=progress,
            **options,
        )
