"""SentencePiece vocabularies that were turned into BPE with a list of merges.

SentencePiece merges whatever two tokens make the token with the highest score. As BPE,
a vocabulary lists the pairs instead, best first. So a token's place in the list stands
for its score, as long as the list has all pairs that make the token, one after another:
if not, no scores can do what the list does.
"""

from __future__ import annotations

from llamacy.errors import shown
from llamacy.formats.json_text import JsonObject
from llamacy.formats.metadata import Metadata
from llamacy.tokenizers.hugging_face.bpe_model import read_merges, read_texts
from llamacy.tokenizers.hugging_face.spaces import space_prefix
from llamacy.tokenizers.hugging_face.token_list import SPACE, TokenList
from llamacy.tokenizers.token_type import TokenType
from llamacy.tokenizers.vocabulary import byte_of


def read_merged(whole: JsonObject, model: JsonObject, metadata: Metadata) -> TokenList:
    """Read a vocabulary, and add the keys about its kind.

    Raises
    ------
    FormatError : something is missing or wrong.
    UnsupportedError : it does with text what SentencePiece does not.
    """
    texts = read_texts(model)
    unknown = model.text("unk_token", "")
    added = {entry.text("content") for entry in whole.children("added_tokens")}
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
    places = _places(model, normal)
    for i, text in texts.items():
        if types[i] == TokenType.NORMAL:
            # what no merge makes comes after the rest
            scores[i] = -float(places.get(text, len(places) + i))
    has_inner_spaces = any(SPACE in text[1:] for text in normal)
    prefix = space_prefix(whole, has_inner_spaces=has_inner_spaces)
    metadata.text("tokenizer.ggml.model", "llama")
    metadata.text("tokenizer.ggml.pre", "default")
    metadata.flag("tokenizer.ggml.add_space_prefix", prefix)
    return TokenList(whole.path, texts, types, scores)


def _places(model: JsonObject, normal: set[str]) -> dict[str, int]:
    """Count through the tokens that merges make, in their order."""
    places: dict[str, int] = {}
    n_pairs: dict[str, int] = {}
    last = ""
    for first, second in read_merges(model):
        made = first + second
        if not {first, second, made} <= normal:
            continue  # of tokens that no text becomes
        if made != last and made in places:
            found = f"merges into {shown(made)} in two places"
            model.refuse("merges", "those of a SentencePiece vocabulary", found)
        places.setdefault(made, len(places))
        n_pairs[made] = n_pairs.get(made, 0) + 1
        last = made
    for text in normal:
        cuts = range(1, len(text))
        n_ways = sum(text[:cut] in normal and text[cut:] in normal for cut in cuts)
        if n_ways != n_pairs.get(text, 0):
            found = f"{n_pairs.get(text, 0)} of {n_ways} into {shown(text)}"
            model.refuse("merges", "those of a SentencePiece vocabulary", found)
    return places
