"""Finds the tokens that end a generation.

A file gives the ids of some; others, introduced by chat formats, are known by their
texts only. The lists of texts are llama.cpp's, and so is the rule that a text counts
whatever type a GGUF file gives its token: conversions often give them the wrong one.
Where the types are those of Hugging Face's files, which are right, ordinary tokens with
such texts, like `</s>` among those of HTML, are left alone.
"""

from __future__ import annotations

from llamacy.tokenizers.attributes import END_KEY, MATCHING_KEY
from llamacy.tokenizers.fields import Fields
from llamacy.tokenizers.token_type import TokenType

_SPECIAL = {TokenType.CONTROL, TokenType.USER_DEFINED}
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

# control tokens, of which a vocabulary has the first in each row, that end nothing
_HOLES = {
    "fim_pre": (
        "<|fim_prefix|>",
        "<fim-prefix>",
        "<fim_prefix>",
        "<\uff5cfim\u2581begin\uff5c>",
        "<PRE>",
        "\u2581<PRE>",
        "<|code_prefix|>",
        "<|prefix|>",
    ),
    "fim_suf": (
        "<|fim_suffix|>",
        "<fim-suffix>",
        "<fim_suffix>",
        "<\uff5cfim\u2581hole\uff5c>",
        "<SUF>",
        "\u2581<SUF>",
        "<|code_suffix|>",
        "<|suffix|>",
    ),
    "fim_mid": (
        "<|fim_middle|>",
        "<fim-middle>",
        "<fim_middle>",
        "<\uff5cfim\u2581end\uff5c>",
        "<MID>",
        "\u2581<MID>",
        "<|code_middle|>",
        "<|middle|>",
    ),
}
_OLDER_KEYS = {"fim_pre": "prefix", "fim_suf": "suffix", "fim_mid": "middle"}

# If texts end with all tokens of the set, the second one ends a message rather than
# the generation, and gets the third item as its type.
_NOT_THE_END = (
    ({"<|return|>", "<|call|>"}, "<|end|>", TokenType.USER_DEFINED),
    ({"<|return|>", "<|calls|>"}, "<|end|>", TokenType.USER_DEFINED),
    ({"<|call|>", "<|flush|>"}, "<|end|>", TokenType.USER_DEFINED),
    ({"<|calls|>", "<|flush|>"}, "<|end|>", TokenType.USER_DEFINED),
    ({"<|tool_response>"}, "</s>", TokenType.NORMAL),
    ({"<|plamo:eos|>"}, "</s>", TokenType.NORMAL),
)

# parts of gpt-oss's message format, which are shown like text
_SHOWN_TEXTS = ("<|channel|>", "<|message|>", "<|start|>", "<|constrain|>")


def find_end_tokens(
    fields: Fields, ids: dict[str, int], types: list[int]
) -> tuple[frozenset[int], frozenset[int]]:
    """Collect the ids that end a generation.

    Parameters
    ----------
    fields : Fields
        The file's metadata.
    ids : dict of str to int
        Ids of tokens by text.
    types : list of int
        Type of each token. Changed in place: many files mark control tokens as ordinary
        or user-defined, which would show them.

    Returns
    -------
    ends : frozenset of int
        Ids of the tokens that end a generation.
    ordinary : frozenset of int
        Ids of the control tokens that the file lists as ordinary: merges may still
        form them, as they form `</s>` in a vocabulary for HTML.
    """
    if fields.text(MATCHING_KEY, ""):
        ids = {text: i for text, i in ids.items() if types[i] in _SPECIAL}
    named = {name: _named(fields, name, len(types)) for name in (*_NAMED, *_HOLES)}
    found = {ids[text] for text in _END_TEXTS if text in ids}
    control = set(found)
    for name, texts in (*_FILL_IN_MIDDLE.items(), *_HOLES.items()):
        known = [ids[text] for text in texts if text in ids]
        if named[name] is None and known:
            named[name] = known[0]
            control.add(known[0])
    found.update(i for name in _NAMED if (i := named[name]) is not None)
    found |= fields.known_ids(END_KEY, len(types))
    ordinary = frozenset(i for i in control if types[i] == TokenType.NORMAL)
    for i in control:
        if types[i] != TokenType.UNUSED:
            types[i] = TokenType.CONTROL
    for text in _SHOWN_TEXTS:
        if text in ids:
            types[ids[text]] = TokenType.USER_DEFINED
    for others, text, true_type in _NOT_THE_END:
        if ids.get(text) in found and all(ids.get(each) in found for each in others):
            types[ids[text]] = true_type
            found.discard(ids[text])
    return frozenset(found), ordinary


def _named(fields: Fields, name: str, n_vocab: int) -> int | None:
    """Return the id that a file gives to a token with a role."""
    found = fields.token_id(f"tokenizer.ggml.{name}_token_id", n_vocab)
    older = _OLDER_KEYS.get(name)
    if found is not None or older is None:
        return found
    return fields.token_id(f"tokenizer.ggml.{older}_token_id", n_vocab)
