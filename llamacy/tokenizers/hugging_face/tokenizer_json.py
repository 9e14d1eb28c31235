"""Reads the two kinds of vocabulary that a tokenizer.json may hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.hugging_face.bpe_model import read_merges, read_texts
from llamacy.tokenizers.hugging_face.merged import read_merged
from llamacy.tokenizers.hugging_face.pre_tokenizer import pre_tokenizer_name
from llamacy.tokenizers.hugging_face.token_list import TokenList
from llamacy.tokenizers.token_type import TokenType

# NFC is ignored, as in GGUF files
_NORMALIZERS: Final = ("NFC", "Sequence")


def is_byte_level(whole: JsonObject) -> bool:
    """Whether a tokenizer.json holds byte-level BPE."""
    step = whole.child("pre_tokenizer")
    return step is not None and "ByteLevel" in _kinds(step, "pretokenizers")


def read_tokenizer_json(whole: JsonObject, metadata: Metadata) -> TokenList:
    """Return a vocabulary's tokens, and add the keys of its family to `metadata`.

    Raises
    ------
    FormatError
        A value is missing or invalid.
    UnsupportedError
        The kind of vocabulary is not supported.
    """
    model = whole.child("model")
    if model is None:
        whole.fail("model", "an object", "no such key")
    kind = model.text("type", "BPE")  # the oldest files lack the key
    if kind != "BPE":
        model.refuse("type", "BPE", kind)
    if model.get("dropout"):
        model.refuse("dropout", "none", model.get("dropout"))
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.text(key, ""):
            model.refuse(key, "none", model.get(key))
    if is_byte_level(whole):
        return _read_byte_level(whole, model, metadata)
    if not model.flag("byte_fallback", False):
        whole.refuse("model", "byte-level BPE, or BPE with byte_fallback", "another")
    return read_merged(whole, model, metadata)


def _read_byte_level(
    whole: JsonObject, model: JsonObject, metadata: Metadata
) -> TokenList:
    step = whole.child("normalizer")
    for kind in _kinds(step, "normalizers") if step else ():
        if kind not in _NORMALIZERS:
            whole.refuse("normalizer", "none, or NFC", kind)
    metadata.text("tokenizer.ggml.model", "gpt2")
    metadata.text("tokenizer.ggml.pre", pre_tokenizer_name(model, whole))
    merges = []
    for i, (first, second) in enumerate(read_merges(model)):
        merges.append(f"{first} {second}")
        if merges[-1].count(" ") != 1:
            model.fail(f"merges[{i}]", "two tokens without spaces", merges[-1])
    metadata.texts("tokenizer.ggml.merges", merges)
    texts = read_texts(model)
    return TokenList(whole.path, texts, dict.fromkeys(texts, TokenType.NORMAL), None)


def _kinds(step: JsonObject, inner: str) -> Iterator[str]:
    """Yield the types of a step and of the steps inside it, under the key `inner`."""
    yield step.text("type")
    for each in step.children(inner):
        yield from _kinds(each, inner)
