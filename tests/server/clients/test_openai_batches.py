"""The openai package reads the outputs of batches as its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from llamacy.jobs import run
from llamacy.jobs.requests import CHAT, COMPLETIONS, EMBEDDINGS
from tests.support.jobs import line_of, read_lines, sum_body

pytestmark = pytest.mark.server
openai: Any = pytest.importorskip("openai", reason="openai is absent")


def test_bodies_are_those_of_its_types(tmp_path: Path) -> None:
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    kinds = [
        (CHAT, sum_body(12, 30, n=2, logprobs=True), openai.types.chat.ChatCompletion),
        (COMPLETIONS, {"prompt": "Once", "logprobs": 2}, openai.types.Completion),
        (EMBEDDINGS, {"input": "Once"}, openai.types.CreateEmbeddingResponse),
    ]
    lines = [line_of(url, body, url) for url, body, _ in kinds]
    source.write_bytes(b"\n".join([*lines, line_of("bad", {"messages": 3})]))
    assert run("demo", source, target).n_failed == 1
    *found, bad = read_lines(target)
    for (url, _, kind), output in zip(kinds, found, strict=True):
        assert (output["custom_id"], output["error"]) == (url, None)
        body = output["response"]["body"]
        parsed = kind.model_validate(body)
        assert parsed.model_dump(exclude_unset=True) == body
        assert not parsed.model_extra
    error = openai.types.ErrorObject.model_validate(bad["response"]["body"]["error"])
    assert error.param == "messages"
