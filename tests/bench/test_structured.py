"""The benchmark of JSON: what it asks for, and what it prints."""

from __future__ import annotations

import json

import pytest
from structured import KEYS, VALUES, Run, check, report, schema


@pytest.mark.parametrize("kind", VALUES)
def test_a_text_must_be_an_object_of_the_kind(kind: str) -> None:
    one = {"texts": "a", "numbers": 1}[kind]
    assert schema(kind)["required"] == list(KEYS)
    check(kind, Run(9, 1.0, json.dumps(dict.fromkeys(KEYS, one))))
    for keys, value in ((KEYS[1:], one), (KEYS, None)):
        with pytest.raises(SystemExit, match=kind):
            check(kind, Run(9, 1.0, json.dumps(dict.fromkeys(keys, value))))


def test_the_report_has_medians_and_ratios(capsys: pytest.CaptureFixture[str]) -> None:
    report(
        {
            ("llamacy", "texts"): [Run(10, 0.1, ""), Run(10, 9, ""), Run(10, 0.1, "")],
            ("llamacy, no drafts", None): [Run(10, 0.2, "")],
            ("llama.cpp", "texts"): [Run(20, 1, "")],
        }
    )
    first, free, peer = capsys.readouterr().out.splitlines()
    assert first.split()[2:4] == ["10", "tokens"]
    assert "10.00 ms a token, 2.00 times free text, 5.00 times llama.cpp" in first
    assert free.endswith("20.00 ms a token")
    assert peer.endswith("50.00 ms a token")
