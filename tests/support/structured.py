"""Constraints without a model: whether texts follow a form."""

from __future__ import annotations

from functools import cache
from typing import Any

import llamacy
from llamacy.structured.compiling import Compiler, compiler_of
from llamacy.structured.form import Form
from llamacy.structured.matcher import Matcher
from llamacy.structured.options import form_of, schema_form
from llamacy.tokenizers.base import Tokenizer


@cache
def demo_tokenizer() -> Tokenizer:
    return llamacy.load_tokenizer("demo")


@cache
def demo_compiler() -> Compiler:
    tokenizer = demo_tokenizer()
    return compiler_of(tokenizer, tokenizer.n_vocab)


def form(**options: Any) -> Form:
    found = form_of(llamacy.SamplingParams(**options))
    assert found is not None
    return found


def constraint(schema: Any, *, is_lenient: bool = False) -> Matcher:
    """Return a constraint of a JSON schema over the demo model's vocabulary."""
    return demo_compiler().constraint(schema_form("json_schema", schema, is_lenient))


def follows(matcher: Matcher, text: str) -> bool:
    """Whether a text is whole by a constraint, whose own state stays."""
    fresh = matcher.fork()
    return not fresh.accept_text(text) and fresh.is_complete


def refusal(schema: Any, **options: Any) -> str:
    """Return the message of a schema's error; an empty one if there is none."""
    try:
        constraint(schema, **options)
    except llamacy.ConstraintError as error:
        return str(error)
    return ""
