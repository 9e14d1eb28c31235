"""A LoRA adapter's facts, for `llamacy show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llamacy.printable import printable

if TYPE_CHECKING:
    from llamacy.formats.lora.facts import AdapterFacts, PeftFolder
    from llamacy.formats.model_file import ModelFile


def adapter_facts(file: ModelFile | PeftFolder) -> AdapterFacts | None:
    """Return the facts of an adapter; None of a model."""
    from llamacy.formats.lora.facts import (
        PeftFolder,
        gguf_facts,
        is_adapter,
        peft_facts,
    )

    if isinstance(file, PeftFolder):
        return peft_facts(file)
    return gguf_facts(file) if is_adapter(file) else None


def adapter_line(
    kind: str, ranks: tuple[int, ...], base: str, invocation: tuple[int, ...]
) -> str:
    """Return the facts as a line."""
    rank = "no pairs"
    if ranks:
        few = f"{ranks[0]}" if len(ranks) == 1 else f"{ranks[0]} to {ranks[-1]}"
        rank = f"rank {few}"
    whom = f" for {printable(base)}" if base else ""
    acts = ""
    if invocation:
        acts = f"; it acts from the tokens {', '.join(map(str, invocation))} on"
    how = "--lora takes it" if kind == "lora" else "llamacy does not use this kind"
    return f"adapter: {printable(kind) or 'unknown'}, {rank}{whom}; {how}{acts}"
