"""Identifies the pre-tokenizer that a tokenizer.json describes.

The file lists steps, most of which are regular expressions in the same syntax as in
`llamacy.tokenizers.pretokenizers`. Other steps have an equivalent expression. The
pre-tokenizer is the one in that table with the same list of expressions.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llamacy.formats.json_text import JsonObject
from llamacy.tokenizers.attributes import SpacePrefix
from llamacy.tokenizers.hugging_face.steps import steps
from llamacy.tokenizers.pretokenizers import PRETOKENIZERS

_GPT2: Final = PRETOKENIZERS["gpt-2"].patterns[0]


def read_pre_tokenizer(model: JsonObject, whole: JsonObject) -> tuple[str, SpacePrefix]:
    """Return the name for `tokenizer.ggml.pre`, and where spaces are added.

    Parameters
    ----------
    model : JsonObject
        The object `model` of tokenizer.json.
    whole : JsonObject
        The whole tokenizer.json.

    Raises
    ------
    UnsupportedError
        The pre-tokenizer is not in the table.
    """
    found_steps = list(steps(whole, "pre_tokenizer", "pretokenizers"))
    patterns = tuple(text for step in found_steps for text in _patterns(step))
    prefix = SpacePrefix.NONE
    for i, step in enumerate(found_steps):
        if step.get("type") == "ByteLevel" and step.flag("add_prefix_space", True):
            if i:  # it would begin each word with a space
                step.refuse("add_prefix_space", "false, after other steps", True)
            prefix = SpacePrefix.ALWAYS
    ignore_merges = model.flag("ignore_merges", False)
    for name, known in PRETOKENIZERS.items():
        if (known.patterns, known.ignore_merges) == (patterns, ignore_merges):
            return name, prefix
    merges = " that ignores merges" if ignore_merges else ""
    found = f"another{merges}: {' then '.join(patterns)}"
    whole.refuse("pre_tokenizer", "one that llamacy knows", found)


def _patterns(step: JsonObject) -> Iterator[str]:
    """Yield the regular expression of a step, if it has one."""
    kind = step.text("type")
    if kind == "Split":
        yield _split_pattern(step)
    elif kind == "Digits":
        is_each = step.flag("individual_digits", False)
        yield r"\p{N}" if is_each else r"\p{N}+"
    elif kind == "ByteLevel":
        if step.flag("use_regex", True):
            yield _GPT2
    else:
        step.refuse("type", "Sequence, Split, Digits or ByteLevel", kind)


def _split_pattern(step: JsonObject) -> str:
    """Return the expression of a step that keeps matches and the texts between them."""
    behavior, invert = step.text("behavior"), step.flag("invert", False)
    # "Removed" and inverted drops the texts between matches, of which expressions that
    # match every character have none.
    if (behavior, invert) not in (("Isolated", False), ("Removed", True)):
        found = f"{behavior}, inverted" if invert else behavior
        step.refuse("behavior", "Isolated", found)
    pattern = step.child("pattern")
    if pattern is None or "Regex" not in pattern:
        step.refuse("pattern", "a Regex", step.get("pattern"))
    return pattern.text("Regex")
