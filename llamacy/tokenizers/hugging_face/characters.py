"""Reads a tokenizer.json with BPE on characters: that of Gemma 4."""

from __future__ import annotations

from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.attributes import NORMALIZER_KEY, SpacePrefix
from llamacy.tokenizers.hugging_face.bpe_model import joined_merges, read_texts
from llamacy.tokenizers.hugging_face.decoder import check_decoder
from llamacy.tokenizers.hugging_face.spaces import read_spaces
from llamacy.tokenizers.hugging_face.token_list import TokenList
from llamacy.tokenizers.token_type import TokenType
from llamacy.tokenizers.vocabulary import SPACE, byte_of


def read_characters(
    whole: JsonObject, model: JsonObject, metadata: Metadata
) -> TokenList:
    """Return a vocabulary's tokens, and add the keys of its family to `metadata`.

    Raises
    ------
    FormatError
        A value is missing or invalid.
    UnsupportedError
        The file has a step that the family does not have.
    """
    if model.flag("ignore_merges", False):
        model.refuse("ignore_merges", "false, with byte_fallback", True)
    texts = read_texts(model)
    unknown = model.text("unk_token", "")
    types = {}
    for i, text in texts.items():
        is_byte = byte_of(text) is not None
        types[i] = int(TokenType.BYTE if is_byte else TokenType.NORMAL)
        if text == unknown:
            types[i] = int(TokenType.UNKNOWN)
    has_inner_spaces = any(SPACE in text[1:] for text in texts.values())
    prefix, forms = read_spaces(whole, has_inner_spaces=has_inner_spaces)
    if prefix is not SpacePrefix.NONE:
        whole.refuse("normalizer", "one that adds no spaces", prefix.value)
    check_decoder(whole, is_byte_level=False)
    metadata.text("tokenizer.ggml.model", "gemma4")
    metadata.flag("tokenizer.ggml.add_space_prefix", False)
    if forms:
        metadata.text(NORMALIZER_KEY, " ".join(forms))
    metadata.texts("tokenizer.ggml.merges", joined_merges(model))
    return TokenList(whole.path, texts, types, None)
