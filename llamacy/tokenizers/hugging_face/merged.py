"""Restores SentencePiece vocabularies that were converted to BPE with a list of merges.

SentencePiece merges the two adjacent tokens that form the token with the highest score.
A vocabulary converted to BPE lists the pairs instead, best first. A token's place in
the list gives its score, provided that the list has all pairs that form the token, one
after another; otherwise no scores are equivalent to the list.
"""

from __future__ import annotations

from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.printable import shown
from llamacy.tokenizers.attributes import NORMALIZER_KEY, PREFIX_KEY, SpacePrefix
from llamacy.tokenizers.hugging_face.bpe_model import read_merges, read_texts
from llamacy.tokenizers.hugging_face.decoder import check_decoder
from llamacy.tokenizers.hugging_face.spaces import read_spaces
from llamacy.tokenizers.hugging_face.token_list import TokenList, may_be_merged
from llamacy.tokenizers.token_type import TokenType
from llamacy.tokenizers.vocabulary import SPACE, byte_of


def read_merged(whole: JsonObject, model: JsonObject, metadata: Metadata) -> TokenList:
    """Return a vocabulary's tokens, and add the keys of its family to `metadata`.

    Parameters
    ----------
    whole : JsonObject
        The whole tokenizer.json.
    model : JsonObject
        Its object `model`.
    metadata : Metadata
        Receives the keys.

    Raises
    ------
    FormatError
        A value is missing or invalid.
    UnsupportedError
        The file has normalisation or merges that SentencePiece does not have.
    """
    if model.flag("ignore_merges", False):
        model.refuse("ignore_merges", "false, with byte_fallback", True)
    texts = read_texts(model)
    unknown = model.text("unk_token", "")
    added = {
        entry.text("content")
        for entry in whole.children("added_tokens")
        if not may_be_merged(entry)
    }
    types, scores, normal = {}, {}, set()
    for i, text in texts.items():
        types[i] = int(TokenType.NORMAL)
        scores[i] = 0.0
        if text == unknown:
            types[i] = TokenType.UNKNOWN
        elif byte_of(text) is not None:
            types[i] = TokenType.BYTE
        elif text not in added:
            normal.add(text)
    n_bytes = len({byte_of(texts[i]) for i in types if types[i] == TokenType.BYTE})
    if n_bytes < 256:
        wanted = "a token for each byte, because byte_fallback is true"
        model.refuse("vocab", wanted, f"tokens for {n_bytes} of 256")
    places = _places(model, normal)
    for i, text in texts.items():
        if types[i] == TokenType.NORMAL:
            # tokens that no merge forms come after the others
            scores[i] = -float(places.get(text, len(places) + i))
    has_inner_spaces = any(SPACE in text[1:] for text in normal)
    prefix, forms = read_spaces(whole, has_inner_spaces=has_inner_spaces)
    check_decoder(whole, is_byte_level=False)
    metadata.text("tokenizer.ggml.model", "llama")
    metadata.text("tokenizer.ggml.pre", "default")
    is_prefixed = prefix is not SpacePrefix.NONE
    metadata.flag("tokenizer.ggml.add_space_prefix", is_prefixed)
    metadata.text(PREFIX_KEY, prefix.value)
    if forms:
        metadata.text(NORMALIZER_KEY, " ".join(forms))
    return TokenList(whole.path, texts, types, scores)


def _places(model: JsonObject, normal: set[str]) -> dict[str, int]:
    """Return the rank of each token that merges form, in the order of the merges."""
    places: dict[str, int] = {}
    n_pairs: dict[str, int] = {}
    last = ""
    for first, second in read_merges(model):
        merged = first + second
        if not {first, second, merged} <= normal:
            continue  # of tokens that text never produces
        if merged != last and merged in places:
            found = f"merges into {shown(merged)} in two places"
            model.refuse("merges", "those of a SentencePiece vocabulary", found)
        places.setdefault(merged, len(places))
        n_pairs[merged] = n_pairs.get(merged, 0) + 1
        last = merged
    for text in normal:
        cuts = range(1, len(text))
        n_ways = sum(text[:cut] in normal and text[cut:] in normal for cut in cuts)
        if n_ways != n_pairs.get(text, 0):
            found = f"{n_pairs.get(text, 0)} of {n_ways} into {shown(text)}"
            model.refuse("merges", "those of a SentencePiece vocabulary", found)
    return places
