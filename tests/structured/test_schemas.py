"""The schemas that people write: the texts that each allows, or its refusal."""

from __future__ import annotations

import json

import pytest

from tests.structured.schemas import CASES, Case
from tests.support.structured import constraint, follows, refusal

pytest.importorskip("llguidance")

ENFORCED = [case for case in CASES if not case.refused]
REFUSED = [case for case in CASES if case.refused]


def test_there_are_sixty_schemas_or_more() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", ENFORCED, ids=lambda case: case.name)
def test_a_schema_allows_the_good_texts_alone(case: Case) -> None:
    matcher = constraint(case.schema)
    for text in case.good:
        assert follows(matcher, text), text
    for text in case.bad:
        assert not follows(matcher, text), text


@pytest.mark.parametrize("case", ENFORCED, ids=lambda case: case.name)
def test_the_good_texts_are_valid_by_the_jsonschema_package(case: Case) -> None:
    validators = pytest.importorskip("jsonschema").validators
    validator = validators.validator_for(case.schema)(case.schema)
    for text in case.good:
        validator.validate(json.loads(text))


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_a_schema_that_cannot_be_enforced_is_refused_with_its_place(case: Case) -> None:
    message = refusal(case.schema)
    assert message.startswith("json_schema: #")
    assert case.refused in message


@pytest.mark.parametrize(
    "name", ["set", "not", "if", "contains", "dependentRequired", "oneOf that overlaps"]
)
def test_leniency_leaves_out_the_keyword_alone(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (case,) = (case for case in CASES if case.name == name)
    matcher = constraint(case.schema, is_lenient=True)
    assert "is not enforced" in caplog.text
    assert any(follows(matcher, text) for text in ("[]", "{}", "1", '{"a": "x"}'))


@pytest.mark.parametrize("name", ["enum beyond 2**53", "circle", "misspelt", "no type"])
def test_leniency_does_not_excuse_a_mistake(name: str) -> None:
    (case,) = (case for case in CASES if case.name == name)
    assert case.refused in refusal(case.schema, is_lenient=True)
