"""Which of the known ways of cutting text into words a tokenizer.json describes.

The file has steps: regular expressions, mostly, in the syntax that :mod:`llamacy.
tokenizers.pretokenizers` has them in. Steps of another kind have an expression that
does the same. If all are those of a known way, that is it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llamacy.formats.json_text import JsonObject
from llamacy.tokenizers.pretokenizers import PRETOKENIZERS

_GPT2: Final = PRETOKENIZERS["gpt-2"].patterns[0]


def pre_tokenizer_name(model: JsonObject, whole: JsonObject) -> str:
    """Find the name for ``tokenizer.ggml.pre``.

    Parameters
    ----------
    model : the object ``model`` of `whole`.
    whole : all of tokenizer.json.

    Raises
    ------
    UnsupportedError : it is none of those known here.
    """
    step = whole.child("pre_tokenizer")
    patterns = tuple(_patterns(step)) if step else ()
    ignore_merges = model.flag("ignore_merges", False)
    for name, known in PRETOKENIZERS.items():
        if (known.patterns, known.ignore_merges) == (patterns, ignore_merges):
            return name
    merges = " that ignores merges" if ignore_merges else ""
    found = f"another{merges}: {' then '.join(patterns)}"
    whole.refuse("pre_tokenizer", "a way of cutting text that is known here", found)


def _patterns(step: JsonObject) -> Iterator[str]:
    """Yield the regular expressions of a step and of those in it."""
    kind = step.text("type")
    if kind == "Sequence":
        for each in step.children("pretokenizers"):
            yield from _patterns(each)
    elif kind == "Split":
        yield _split_pattern(step)
    elif kind == "Digits":
        is_each = step.flag("individual_digits", False)
        yield r"\p{N}" if is_each else r"\p{N}+"
    elif kind == "ByteLevel":
        if step.flag("add_prefix_space", True):
            step.refuse("add_prefix_space", "false", True)
        if step.flag("use_regex", True):
            yield _GPT2
    else:
        step.refuse("type", "Sequence, Split, Digits or ByteLevel", kind)


def _split_pattern(step: JsonObject) -> str:
    """Return the expression of a step whose matches, and what is between, are words."""
    behavior, invert = step.text("behavior"), step.flag("invert", False)
    # Expressions that match all there is need no words between.
    if (behavior, invert) not in (("Isolated", False), ("Removed", True)):
        found = f"{behavior}, inverted" if invert else behavior
        step.refuse("behavior", "Isolated", found)
    pattern = step.child("pattern")
    if pattern is None or "Regex" not in pattern:
        step.refuse("pattern", "a Regex", step.get("pattern"))
    return pattern.text("Regex")
