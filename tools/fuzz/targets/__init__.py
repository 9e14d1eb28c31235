"""One module for each kind of input.

`seeds()` returns valid inputs, made by code, and `run(data)` reads one: any exception
but a LlamacyError that leaves it is a failure.
"""

from __future__ import annotations

from typing import Final

NAMES: Final = (
    *("gguf", "config", "tokenizer", "sentencepiece", "adapter", "session"),
    *("legacy", "template", "reply", "schema"),
)
