"""The text of one token, for people to read."""

from __future__ import annotations

import llamacy
from llamacy.tokenizers.token_text import token_text


def test_texts_are_those_of_words_bytes_and_control_tokens() -> None:
    tokenizer = llamacy.load_tokenizer("demo")
    texts = [token_text(tokenizer, token) for token in tokenizer.encode("Once upon")]
    assert texts == ["<s>", "Once", " upon"]
    assert "\ufffd" in {
        token_text(tokenizer, token) for token in tokenizer.encode("\N{LLAMA}")
    }


def test_tokens_beyond_the_vocabulary_have_no_text() -> None:
    tokenizer = llamacy.load_tokenizer("demo")
    assert token_text(tokenizer, tokenizer.n_vocab) == ""
    assert token_text(None, 0) == ""
