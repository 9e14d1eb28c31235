"""Embeddings as dicts."""

from __future__ import annotations

import base64
import json

import numpy as np

from llamacy.generation.embedding.vectors import Embeddings
from llamacy.protocols.openai.embeddings import embedding_response

VECTORS = np.array([[0.1, -2, 3e-8], [1, 0, 0.3]], np.float32)


def test_both_formats_have_the_same_numbers() -> None:
    made = Embeddings(VECTORS, (4, 5), (0, 0))
    decimal, in_bytes = (
        json.loads(json.dumps(embedding_response(made, "m", encoding)))
        for encoding in ("float", "base64")
    )
    assert decimal["usage"] == {"prompt_tokens": 9, "total_tokens": 9}
    for index, (a, b) in enumerate(zip(decimal["data"], in_bytes["data"], strict=True)):
        assert a["index"] == b["index"] == index
        numbers = np.frombuffer(base64.b64decode(b["embedding"]), "<f4")
        np.testing.assert_array_equal(numbers, VECTORS[index])
        np.testing.assert_array_equal(np.array(a["embedding"], np.float32), numbers)


def test_one_text_and_none() -> None:
    one = Embeddings(VECTORS[0], (4,), (0,))
    assert [each["index"] for each in embedding_response(one, "m")["data"]] == [0]
    none = Embeddings(VECTORS[:0], (), ())
    assert embedding_response(none, "m")["data"] == []
