"""The text of one token, for people to read."""

from __future__ import annotations

from llamacy.tokenizers.base import Tokenizer


def token_text(tokenizer: Tokenizer | None, token: int) -> str:
    """Return a token's text, with the space before it; a control token's name.

    Bytes that are no whole characters, as of a token within an emoji, become U+FFFD.
    The text is empty without a tokenizer, and for a token beyond the vocabulary: a
    model may have more logits than its vocabulary has tokens.
    """
    if tokenizer is None or token >= tokenizer.n_vocab:
        return ""
    text = tokenizer.token_bytes(token).decode(errors="replace")
    return text or tokenizer.piece(token)
