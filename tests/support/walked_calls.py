"""Calls that random walks through their constraints write, and what is read of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

import llamacy
from llamacy.chat.constrained.choice import Choice
from llamacy.chat.constrained.constraint import constrained
from llamacy.chat.constrained.wanted import Wanted
from llamacy.chat.reply.known_styles import tool_call_style
from llamacy.chat.reply.reading import ReplyReader
from llamacy.chat.reply.schema_types import parameter_types
from llamacy.chat.reply.style import ReplyStyle
from llamacy.structured.compiling import Compiler, compiler_of
from llamacy.structured.matcher import Matcher
from llamacy.tokenizers.base import Tokenizer

HOSTILE = (
    *('<|"|>', "<|", "</city>", "</item>", "]<]minimax[>[", "<tool_call|>"),
    *("</parameter>", "\n</parameter>\n", "<parameter=b>", "</function>", "</invoke>"),
    *("</arg_value>\n", "null", "None", "nul", "5", " 7", "-", ".5", "1e3", "\x1c3"),
    *(
        "[1]",
        '{"a": 1}',
        '"x"',
        "'x'",
        "}",
        "]",
        ",",
        "(",
        "\n",
        "\u00e9",
        "\U0001f600",
    ),
)
"""Texts that spell marks, tags, and values of other types than text."""


class Walks:
    """Walks through the constraints of one model.

    Parameters
    ----------
    model : Model
        Has the vocabulary.
    """

    def __init__(self, model: llamacy.Model) -> None:
        self.tokenizer: Tokenizer = model.tokenizer
        n_vocab = self.tokenizer.n_vocab
        self._compiler: Compiler = compiler_of(self.tokenizer, n_vocab)

    def reader(self, template: str, tools: Sequence[Any]) -> ReplyReader:
        """Return the reader of answers to a template that has some tools."""
        style = tool_call_style(template, parameter_types(tools), lambda _: False)
        names = tuple(tool["function"]["name"] for tool in tools)
        whole = ReplyStyle(tool_calls=style, names=names)
        return ReplyReader(whole.with_marked_calls())

    def constraint(self, reader: ReplyReader, tools: Sequence[Any]) -> Matcher:
        """Return the constraint of an answer that must call one of the tools."""
        wanted = Wanted(tools=tools, choice=Choice(is_required=True))
        found, _ = constrained(wanted, reader, self.tokenizer, self._compiler)
        assert found is not None
        return found

    def text(self, constraint: Matcher, rng: random.Random) -> str | None:
        """Return a text that the constraint allows; None if it does not end soon."""
        tokens: list[int] = []
        while len(tokens) < 300:
            new = self._hostile(constraint, rng) if rng.random() < 0.3 else []
            new = new or self._allowed(constraint, rng)
            for token in new:
                constraint.accept(token)
            forced = constraint.forced()
            for token in forced:
                constraint.accept(token)
            tokens += [*new, *forced]
            if constraint.is_over or not new:
                assert constraint.is_complete
                return b"".join(map(self._bytes, tokens)).decode(errors="replace")
        return None

    def _hostile(self, constraint: Matcher, rng: random.Random) -> list[int]:
        text = rng.choice(HOSTILE)
        found = self.tokenizer.encode(text, add_bos=False, continues=True)
        return found[: constraint.n_allowed(found)]

    def _allowed(self, constraint: Matcher, rng: random.Random) -> list[int]:
        logits = np.zeros(self.tokenizer.n_vocab, np.float32)
        constraint.allow(logits)
        found = {*np.flatnonzero(np.isfinite(logits)).tolist()}
        found -= self.tokenizer.eog_ids
        if constraint.is_complete and rng.random() < 0.7:
            return []
        marks = sorted(found & self._compiler.vocabulary.special.keys())
        closing = [i for i in sorted(found) if self._bytes(i)[:1] in b'"}],<']
        for some, chance in ((marks, 0.5), (closing, 0.4)):
            if some and rng.random() < chance:
                return [rng.choice(some)]
        return [rng.choice(sorted(found))] if found else []

    def _bytes(self, token: int) -> bytes:
        return self.tokenizer.token_bytes(token) or self.tokenizer.piece(token).encode()
