"""Bodies of requests: JSON within limits."""

from __future__ import annotations

import pytest

pytest.importorskip("llamacy.server", exc_type=ImportError)

from llamacy.server.body import MAX_MARKS, MAX_NESTING, parsed
from llamacy.server.errors import Refusal

pytestmark = pytest.mark.server


def test_a_body_is_a_json_value() -> None:
    assert parsed('{"a": ["ü", 1.5, null]}'.encode()) == {"a": ["ü", 1.5, None]}
    assert parsed(b'"\\ud83d\\ude00"') == "😀"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b"[NaN]",
        b"[Infinity]",
        b"\xff",
        b'{"a": 1} x',
        b"\xef\xbb",
    ]
    + [b"1" * 5000, b'"\\ud800"', b'["a\\uDFFFb"]', b'{"a\\ud800": 1}'],
)
def test_bodies_that_are_not_json_are_refused(body: bytes) -> None:
    with pytest.raises(Refusal, match="not JSON") as caught:
        parsed(body)
    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


@pytest.mark.parametrize("item", [b"[],", b'{"":1},', b"1,"])
def test_the_number_of_values_has_a_limit(item: bytes) -> None:
    with pytest.raises(Refusal, match="values") as caught:
        parsed(b"[" + item * (MAX_MARKS + 1) + b"1]")
    assert caught.value.status == 413


@pytest.mark.parametrize(("opens", "closes"), [("[", "]"), ('{"a":', "}")])
def test_nesting_has_a_limit(opens: str, closes: str) -> None:
    def nested(depth: int) -> bytes:
        return (opens * depth + "1" + closes * depth).encode()

    parsed(nested(MAX_NESTING - 1))
    for depth in (MAX_NESTING + 1, 100_000):
        with pytest.raises(Refusal, match="nesting"):
            parsed(nested(depth))
