"""A Llama embeds texts as llama-cpp-python's does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.compat.llama_cpp import Llama
from tests.support.encoder_fixtures import N_CTX

TEXTS = ["the cat sat", "a dog on the mat"]
QUIET: dict[str, Any] = {"n_ctx": 0, "n_threads": 1, "verbose": False}


def test_vectors_are_the_librarys_and_not_normalised(encoder: Path) -> None:
    with llamacy.load(encoder, n_threads=1) as model:
        wanted = model.embed(TEXTS, normalize=False)
        divided = model.embed(TEXTS)
    with Llama(str(encoder), embedding=True, **QUIET) as llm:
        assert llm.pooling_type() == 1
        np.testing.assert_array_equal(np.array(llm.embed(TEXTS), np.float32), wanted)
        assert llm.embed(TEXTS[0]) == wanted[0].tolist()
        assert llm.embed(TEXTS, normalize=True) == divided.tolist()
        n_tokens = sum(wanted.token_counts)
        assert llm.embed(TEXTS, return_count=True)[1] == n_tokens
        response = llm.create_embedding(TEXTS, model="m")
        data = [
            {"object": "embedding", "index": i, "embedding": each.tolist()}
            for i, each in enumerate(wanted)
        ]
        assert json.loads(json.dumps(response)) == {
            "object": "list",
            "data": data,
            "model": "m",
            "usage": {"prompt_tokens": n_tokens, "total_tokens": n_tokens},
        }
        one = llm.create_embedding(TEXTS[0])
        assert (one["model"], len(one["data"])) == (str(encoder), 1)


def test_texts_are_cut_unless_that_is_an_error(encoder: Path) -> None:
    long = "cat " * 40
    with Llama(str(encoder), embedding=True, **QUIET) as llm:
        assert llm.embed(long, return_count=True)[1] == N_CTX
        with pytest.raises(ValueError, match="42 tokens do not fit"):
            llm.embed(long, truncate=False)


def test_a_model_without_pooling_has_vectors_of_tokens(babble_model: Path) -> None:
    with Llama(str(babble_model), embedding=True, n_ctx=64, verbose=False) as llm:
        assert llm.pooling_type() == 0
        found, n_tokens = llm.embed("bada", return_count=True)
        assert np.array(found).shape == (n_tokens, llm.n_embd())
    options: dict[str, Any] = {"embedding": True, "pooling_type": 3}
    with Llama(str(babble_model), n_ctx=64, verbose=False, **options) as llm:
        np.testing.assert_array_equal(llm.embed("bada"), found[-1])


def test_embeddings_must_have_been_asked_for(encoder: Path) -> None:
    with Llama(str(encoder), **QUIET) as llm:
        for call in (llm.embed, llm.create_embedding):
            with pytest.raises(RuntimeError, match="made with embedding=True"):
                call("a")
    with Llama(str(encoder), embedding=True, **QUIET) as llm:
        wrong: Any = 3
        with pytest.raises(llamacy.ArgumentError, match="input: wanted a text or a li"):
            llm.embed(wrong)
