"""Reads the kinds of vocabulary that a tokenizer.json may hold."""

from __future__ import annotations

from llamacy.formats.gguf.limits import MAX_VOCAB
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.printable import shown
from llamacy.tokenizers.attributes import (
    FORMS,
    NORMALIZER_KEY,
    PREFIX_KEY,
    SpacePrefix,
)
from llamacy.tokenizers.hugging_face.bpe_model import joined_merges, read_texts
from llamacy.tokenizers.hugging_face.characters import read_characters
from llamacy.tokenizers.hugging_face.decoder import check_decoder
from llamacy.tokenizers.hugging_face.merged import read_merged
from llamacy.tokenizers.hugging_face.pre_tokenizer import read_pre_tokenizer
from llamacy.tokenizers.hugging_face.steps import (
    ADDED,
    MODEL,
    TOP,
    check_keys,
    steps,
)
from llamacy.tokenizers.hugging_face.token_list import TokenList
from llamacy.tokenizers.hugging_face.unigram_model import read_unigram
from llamacy.tokenizers.hugging_face.word_pieces import read_word_pieces
from llamacy.tokenizers.token_type import TokenType


def model_kind(whole: JsonObject) -> str:
    """Return the kind of a tokenizer.json's model, such as `BPE`."""
    model = whole.child("model")
    # the oldest files lack the key
    return "" if model is None else model.text("type", "BPE")


def is_byte_level(whole: JsonObject) -> bool:
    """Whether a tokenizer.json holds byte-level BPE."""
    found = steps(whole, "pre_tokenizer", "pretokenizers")
    return any(step.text("type") == "ByteLevel" for step in found)


def keeps_merges(config: JsonObject) -> bool:
    """Whether a family's GGUF files keep merges of characters, by its config.json.

    In other families a vocabulary with merges of characters is one of SentencePiece.
    """
    kind = config.get("model_type")
    return isinstance(kind, str) and kind.startswith("gemma4")


def read_tokenizer_json(
    whole: JsonObject, metadata: Metadata, *, keeps_merges: bool = False
) -> TokenList:
    """Return a vocabulary's tokens, and add the keys of its family to `metadata`.

    Parameters
    ----------
    whole : JsonObject
        The whole tokenizer.json.
    metadata : Metadata
        Receives the keys.
    keeps_merges : bool
        Whether merges of characters stay as they are.

    Raises
    ------
    FormatError
        A value is missing or invalid.
    UnsupportedError
        The kind of vocabulary is not supported.
    """
    check_keys(whole, TOP)
    model = whole.child("model")
    if model is None:
        whole.fail("model", "an object", "no such key")
    kind = model_kind(whole)
    if kind not in MODEL:
        model.refuse("type", f"one of {', '.join(MODEL)}", kind)
    check_keys(model, frozenset(MODEL[kind].split()))
    if kind == "WordPiece":
        return read_word_pieces(whole, model, metadata)
    if kind == "Unigram":
        return read_unigram(whole, model, metadata)
    if model.get("dropout"):
        model.refuse("dropout", "none", model.get("dropout"))
    for key in ("continuing_subword_prefix", "end_of_word_suffix"):
        if model.text(key, ""):
            model.refuse(key, "none", model.get(key))
    if is_byte_level(whole):
        return _read_byte_level(whole, model, metadata)
    if not model.flag("byte_fallback", False):
        whole.refuse("model", "byte-level BPE, or BPE with byte_fallback", "another")
    if keeps_merges:
        return read_characters(whole, model, metadata)
    return read_merged(whole, model, metadata)


def check_added(whole: JsonObject, tokens: TokenList) -> None:
    """Check that added tokens have the ids that the tokenizers library gives them.

    The library passes over the ids in the file: an added token has the id that its
    text has in the vocabulary, or else the next free one. A file that says otherwise
    would be read in two ways.

    Raises
    ------
    UnsupportedError
        An added token has another id, or an unknown key.
    """
    ids = tokens.ids()
    following = len(ids)
    for entry in whole.children("added_tokens"):
        check_keys(entry, ADDED)
        text = entry.text("content")
        wanted = ids.setdefault(text, following)
        following = max(following, wanted + 1)
        if entry.integer("id", 0, MAX_VOCAB - 1) != wanted:
            what = f"{wanted}, which the tokenizers library gives {shown(text)}"
            entry.refuse("id", what, entry.get("id"))


def _read_byte_level(
    whole: JsonObject, model: JsonObject, metadata: Metadata
) -> TokenList:
    forms = []
    for step in steps(whole, "normalizer", "normalizers"):
        kind = step.text("type")
        if kind not in FORMS or kind in forms:
            wanted = f"none, or one of {', '.join(FORMS)}"
            whole.refuse("normalizer", wanted, kind)
        forms.append(kind)
    check_decoder(whole, is_byte_level=True)
    name, prefix = read_pre_tokenizer(model, whole)
    metadata.text("tokenizer.ggml.model", "gpt2")
    metadata.text("tokenizer.ggml.pre", name)
    if forms:
        metadata.text(NORMALIZER_KEY, " ".join(forms))
    if prefix is not SpacePrefix.NONE:
        metadata.text(PREFIX_KEY, prefix.value)
    metadata.texts("tokenizer.ggml.merges", joined_merges(model))
    texts = read_texts(model)
    return TokenList(whole.path, texts, dict.fromkeys(texts, TokenType.NORMAL), None)
