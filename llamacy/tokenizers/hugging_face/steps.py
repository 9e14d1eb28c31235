"""The steps of a tokenizer.json and the keys of each.

A tokenizer.json describes a pipeline: a normalizer, a pre-tokenizer, a model, a
post-processor and a decoder, most of which are lists of steps. Every key of a step is
known here; a step or a key that is not is refused by name, since texts would become
other tokens than those of the model's training.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llamacy.formats.json_text import JsonObject

TOP: Final = frozenset(
    "version truncation padding added_tokens normalizer pre_tokenizer post_processor "
    "decoder model".split()
)
"""Keys of the whole file.

`truncation` and `padding` are settings of the program that wrote the file: the length
of its batches. `version` is 1.0 in all files.
"""

MODEL: Final = {
    "BPE": (
        "type dropout unk_token continuing_subword_prefix end_of_word_suffix fuse_unk "
        "byte_fallback ignore_merges vocab merges"
    ),
    "Unigram": "type unk_id byte_fallback vocab",
    "WordPiece": (
        "type unk_token continuing_subword_prefix max_input_chars_per_word vocab"
    ),
}
"""Keys of each kind of model."""
ADDED: Final = frozenset(
    "id content single_word lstrip rstrip normalized special".split()
)

_STEPS: Final = {
    # normalizers
    "BertNormalizer": "clean_text handle_chinese_chars strip_accents lowercase",
    "Lowercase": "",
    "NFC": "",
    "NFD": "",
    "NFKC": "",
    "NFKD": "",
    "Nmt": "",
    "Precompiled": "precompiled_charsmap",
    "Prepend": "prepend",
    "StripAccents": "",
    # pre-tokenizers
    "BertPreTokenizer": "",
    "Digits": "individual_digits",
    "Split": "pattern behavior invert",
    "WhitespaceSplit": "",
    # decoders
    "ByteFallback": "",
    "Fuse": "",
    "WordPiece": "prefix cleanup",
    # post-processors
    "BertProcessing": "sep cls",
    "RobertaProcessing": "sep cls trim_offsets add_prefix_space",
    "TemplateProcessing": "single pair special_tokens",
    # in several places
    "ByteLevel": "add_prefix_space trim_offsets use_regex",
    "Metaspace": "replacement add_prefix_space prepend_scheme split str_rep",
    "Replace": "pattern content",
    "Strip": "content start stop strip_left strip_right",
    "Sequence": "normalizers pretokenizers processors decoders",
}
"""Keys of each kind of step, beside `type`."""


def check_keys(found: JsonObject, known: frozenset[str]) -> None:
    """Refuse an object with a key that is not known, unless its value is null."""
    for key in found.values:
        if key not in known and key in found:
            found.refuse(key[:80], "no such key", found.get(key))


def steps(owner: JsonObject, key: str, inner: str) -> Iterator[JsonObject]:
    """Yield the steps under a key, of which sequences may hold others.

    Parameters
    ----------
    owner : JsonObject
        The whole tokenizer.json.
    key : str
        Such as `"normalizer"`.
    inner : str
        The key of a sequence's steps, such as `"normalizers"`.

    Raises
    ------
    FormatError
        A step is not an object with a type.
    UnsupportedError
        A step has an unknown key.
    """
    first = owner.child(key)
    waiting = [] if first is None else [first]
    while waiting:
        step = waiting.pop()
        kind = step.text("type")
        if kind in _STEPS:
            check_keys(step, frozenset(("type", *_STEPS[kind].split())))
        if kind == "Sequence":
            waiting += reversed(list(step.children(inner)))
        else:
            yield step


def is_of_text(step: JsonObject, text: str) -> bool:
    """Whether a step's pattern matches one text, which has no signs of a Regex."""
    pattern = step.child("pattern")
    return pattern is not None and text in (
        pattern.get("String"),
        pattern.get("Regex"),
    )
