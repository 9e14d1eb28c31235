"""Texts that follow random schemas are valid by the jsonschema package.

Tokens are drawn at random among those allowed, as a model would at a high temperature.
"""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

import llamacy
from tests.support.structured import constraint, demo_tokenizer

pytest.importorskip("llguidance")

Schemas = st.SearchStrategy[Any]

NAMES = st.sampled_from(["a", "b", "long name", 'q"', "\u00e9"])
NUMBERS = st.one_of(st.integers(-50, 50), st.sampled_from([0.5, -2.25, 2.0**40, -1e9]))
SMALL = st.integers(0, 3)
PATTERNS = st.sampled_from(
    ["^a+$", "b", "^[a-z]{2,4}$", r"^\d{2}-\d$", "^(x|yz)$", "y$"]
)
FORMATS = st.sampled_from(["date", "date-time", "uuid", "ipv4", "email", "duration"])
TYPES = st.sampled_from(["string", "integer", "object", "null"])
CONSTANTS = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text("ab\u00e9\n", max_size=4)),
    lambda one: st.lists(one, max_size=2) | st.dictionaries(NAMES, one, max_size=2),
    max_leaves=3,
)


def keywords(always: dict[str, Schemas], /, **optional: Schemas) -> Schemas:
    return st.fixed_dictionaries(always, optional=optional)


def of_type(name: str, **optional: Schemas) -> Schemas:
    return keywords({"type": st.just(name)}, **optional)


LEAVES = st.one_of(
    of_type("integer", minimum=NUMBERS, exclusiveMaximum=NUMBERS),
    of_type("number", exclusiveMinimum=NUMBERS, multipleOf=st.sampled_from([0.5, 3])),
    of_type("string", minLength=SMALL, maxLength=st.integers(2, 5)),
    of_type("string", pattern=PATTERNS, maxLength=st.integers(3, 8)),
    of_type("string", format=FORMATS),
    keywords({"enum": st.lists(CONSTANTS, min_size=1, max_size=4)}, type=TYPES),
    keywords({"const": CONSTANTS}),
    st.sampled_from([True, {}, {"type": "boolean"}, {"$ref": "#/$defs/A"}]),
    keywords({"type": st.lists(TYPES, min_size=1, unique=True)}, maxLength=SMALL),
)


def larger(one: Schemas) -> Schemas:
    properties = st.dictionaries(NAMES, one, max_size=3)
    some = st.lists(one, min_size=1, max_size=3)
    names = st.lists(NAMES, max_size=2, unique=True)
    others = st.booleans() | one
    return st.one_of(
        keywords(
            {"type": st.just("object"), "properties": properties},
            required=names,
            additionalProperties=others,
            maxProperties=SMALL,
            patternProperties=st.dictionaries(PATTERNS, one, max_size=1),
        ),
        keywords({"properties": properties, "anyOf": some}, required=names),
        of_type("array", items=one, minItems=SMALL, maxItems=SMALL),
        of_type("array", prefixItems=some, items=others),
        keywords({"anyOf": some}),
        keywords({"oneOf": some}),
        keywords({"allOf": some}, properties=properties),
        keywords({"$ref": st.just("#/$defs/A")}, maximum=NUMBERS, type=TYPES),
    )


SCHEMAS = st.recursive(LEAVES, larger, max_leaves=6)


def walked(schema: Any, rng: random.Random) -> str | None:
    """Return a random text that follows a schema; None if it gets too long."""
    tokenizer, matcher = demo_tokenizer(), constraint(schema)
    tokens: list[int] = []
    while len(tokens) < 80:
        if matcher.is_over or (matcher.is_complete and rng.random() < 0.5):
            return b"".join(map(tokenizer.token_bytes, tokens)).decode()
        logits = np.zeros(tokenizer.n_vocab, np.float32)
        matcher.allow(logits)
        allowed = set(np.flatnonzero(np.isfinite(logits)).tolist()) - tokenizer.eog_ids
        if not allowed:  # but tokens that end a text
            assert matcher.is_complete
            return b"".join(map(tokenizer.token_bytes, tokens)).decode()
        closing = [i for i in allowed if tokenizer.token_bytes(i)[:1] in b'"}],']
        likely = closing if closing and rng.random() < 0.5 else sorted(allowed)
        new = [rng.choice(likely)]
        matcher.accept(new[0])
        for token in matcher.forced():
            matcher.accept(token)
            new.append(token)
        tokens += new
    return None


@seed(7)
@given(root=SCHEMAS, other=SCHEMAS)
@settings(
    max_examples=60,
    deadline=None,
    database=None,
    suppress_health_check=[*HealthCheck],
)
def test_texts_of_random_schemas_are_valid(root: Any, other: Any) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = {**root, "$defs": {"A": other}} if isinstance(root, dict) else root
    kind = jsonschema.Draft202012Validator
    validator = kind(schema, format_checker=kind.FORMAT_CHECKER)
    rng = random.Random(json.dumps(schema))
    try:
        for _ in range(2):
            if (text := walked(schema, rng)) is not None:
                validator.validate(json.loads(text))
    except llamacy.ConstraintError as error:  # before the first token
        assert str(error).startswith("json_schema: #")
