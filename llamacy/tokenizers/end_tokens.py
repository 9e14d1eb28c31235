"""Finds the tokens that end a generation.

A file gives the ids of some; others, introduced by chat formats, are known by their
texts only. The list of texts is llama.cpp's.
"""

from __future__ import annotations

from itertools import chain

from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.token_type import TokenType

_NAMED = ("eos", "eot", "eom", "fim_pad", "fim_rep", "fim_sep")

_END_TEXTS = (
    "</s>",
    "<EOT>",
    "<eos>",
    "<end_of_turn>",
    "<end_of_utterance>",
    "<turn|>",
    "<|call|>",
    "<|calls|>",
    "<|end_of_text|>",
    "<|end|>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<|eot_id|>",
    "<|flush|>",
    "<|im_end|>",
    "<|return|>",
    "<|tool_response>",
    "<\uff5cend\u2581of\u2581sentence\uff5c>",  # DeepSeek's, with full-width bars
    "[EOS]",
    "[EOT]",
    "[e~[",
    "_<EOT>",
)

# candidates for ids that a file does not give; the first one in the vocabulary is used
_FILL_IN_MIDDLE = {
    "fim_pad": ("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"),
    "fim_rep": (
        "<|fim_repo|>",
        "<|repo_name|>",
        "<fim-repo>",
        "<REPO>",
        "<reponame>",
    ),
    "fim_sep": ("<|file_sep|>",),
}

# If the vocabulary has all tokens of the set, the second token ends a message rather
# than the generation, and gets the third item as its type.
_NOT_THE_END = (
    ({"<|return|>", "<|call|>"}, "<|end|>", TokenType.USER_DEFINED),
    ({"<|calls|>", "<|flush|>"}, "<|end|>", TokenType.USER_DEFINED),
    ({"<|tool_response>"}, "</s>", TokenType.NORMAL),
)

_SPECIAL = {TokenType.CONTROL, TokenType.USER_DEFINED}

# parts of gpt-oss's message format, which are shown like text
_SHOWN_TEXTS = ("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>")


def find_end_tokens(
    fields: Fields, ids: dict[str, int], types: list[int]
) -> frozenset[int]:
    """Collect the ids that end a generation.

    Parameters
    ----------
    fields : Fields
        The file's metadata.
    ids : dict of str to int
        Ids of tokens by text.
    types : list of int
        Type of each token. Changed in place: many files mark end tokens as
        user-defined, which would let any text produce them.

    Returns
    -------
    frozenset of int
        Ids of the tokens that end a generation.
    """
    # normal tokens may have the same texts, such as "</s>" in a vocabulary for HTML
    special = {
        text: ids[text]
        for text in (*_END_TEXTS, *chain(*_FILL_IN_MIDDLE.values()))
        if text in ids and types[ids[text]] in _SPECIAL
    }
    found = {special[text] for text in _END_TEXTS if text in special}
    for name in _NAMED:
        token = fields.token_id(f"tokenizer.ggml.{name}_token_id", len(types))
        known = [special[t] for t in _FILL_IN_MIDDLE.get(name, ()) if t in special]
        found.update(known[:1] if token is None else [token])
    for token in found.intersection(special.values()):
        types[token] = TokenType.CONTROL
    for text in _SHOWN_TEXTS:
        if text in ids:
            types[ids[text]] = TokenType.USER_DEFINED
    for others, text, true_type in _NOT_THE_END:
        if others <= special.keys() and text in special:
            types[special[text]] = true_type
            found.discard(special[text])
    return frozenset(found)
