"""Tokenizers of real models give llama.cpp's ids."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from tests.support.random_texts import id_sums, random_texts

pytestmark = pytest.mark.real


def test_ids_of_random_texts_are_those_of_llama_cpp(
    name: str, path: Path, vectors: Any
) -> None:
    wanted = vectors["models"][name]["tokens"]
    tokenizer = llamacy.load_tokenizer(path)
    sums = np.frombuffer(base64.b64decode(wanted["sums"]), "<u2")
    texts = random_texts(len(sums))
    ids = [tokenizer.encode(text, add_bos=False) for text in texts]
    assert ids[: len(wanted["clear"])] == wanted["clear"]
    differing = np.flatnonzero(np.frombuffer(id_sums(ids), "<u2") != sums)
    assert [texts[i] for i in differing[:3]] == []
    assert hashlib.sha256(json.dumps(ids).encode()).hexdigest() == wanted["sha256"]


def test_random_texts_come_back(path: Path) -> None:
    tokenizer = llamacy.load_tokenizer(path)
    for text in random_texts(200, seed=1):
        ids = tokenizer.encode(text, add_bos=False)
        assert tokenizer.decode(ids, skip_special=False) == text
