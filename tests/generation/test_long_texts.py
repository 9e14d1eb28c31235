"""Texts longer than the model was first trained for have other factors (LongRoPE).

The model rotates the keys of texts of up to 32 tokens as they are, and those of longer
ones eight times more slowly. transformers decides so for each text; a context that is
merely large changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.opening import open_model
from llamacy.ops.batch import Batch
from llamacy.ops.rope import LongTexts
from tests.support.drafted import drafting, foretelling, wrong_at_random
from tests.support.hugging_face import write_json, write_tensors

N_EMBD, N_FF, N_HEAD, HEAD_DIM, N_VOCAB, N_SHORT = 32, 64, 4, 8, 64, 32
RNG = np.random.default_rng(7)
IDS = [int(each) for each in RNG.integers(3, N_VOCAB, 100)]


def write(folder: Path, *, short: float = 1.0, long: float = 8.0) -> Path:
    """Write a Phi-3 of two layers."""
    rng = np.random.default_rng(1)

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        values = rng.standard_normal((rows, columns), np.float32)
        return values * np.float32(2 / columns**0.5)

    ones = np.ones(N_EMBD, np.float32)
    made = {"model.embed_tokens.weight": matrix(N_VOCAB, N_EMBD)}
    made |= {"lm_head.weight": matrix(N_VOCAB, N_EMBD), "model.norm.weight": ones}
    for layer in range(2):
        at = f"model.layers.{layer}"
        made |= {
            f"{at}.self_attn.qkv_proj.weight": matrix(3 * N_HEAD * HEAD_DIM, N_EMBD),
            f"{at}.self_attn.o_proj.weight": matrix(N_EMBD, N_HEAD * HEAD_DIM),
            f"{at}.mlp.gate_up_proj.weight": matrix(2 * N_FF, N_EMBD),
            f"{at}.mlp.down_proj.weight": matrix(N_EMBD, N_FF),
            f"{at}.input_layernorm.weight": ones,
            f"{at}.post_attention_layernorm.weight": ones,
        }
    folder.mkdir()
    write_tensors(folder, made)
    config = {
        "architectures": ["Phi3ForCausalLM"],
        "hidden_size": N_EMBD,
        "intermediate_size": N_FF,
        "num_hidden_layers": 2,
        "num_attention_heads": N_HEAD,
        "vocab_size": N_VOCAB,
        "max_position_embeddings": 128,
        "original_max_position_embeddings": N_SHORT,
        "rope_scaling": {
            "type": "longrope",
            "short_factor": [short] * (HEAD_DIM // 2),
            "long_factor": [long] * (HEAD_DIM // 2),
        },
    }
    write_json(folder / "config.json", config)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("long") / "phi3")


@pytest.fixture(scope="module")
def always(tmp_path_factory: pytest.TempPathFactory) -> dict[str, llamacy.Model]:
    """Models that have the one set of factors, or the other, for all texts."""
    root = tmp_path_factory.mktemp("always")
    factors = {"short": 1.0, "long": 8.0}
    return {
        name: load(write(root / name, short=factor, long=factor))
        for name, factor in factors.items()
    }


@pytest.fixture
def model(folder: Path) -> Iterator[llamacy.Model]:
    with load(folder) as model:
        yield model


def load(path: Path, **options: Any) -> llamacy.Model:
    return llamacy.load(path, kv_type="f32", n_threads=1, **options)


def greedy(model: Any, ids: list[int] | None, n: int | None = None) -> list[int]:
    return list(model.generate(ids, max_tokens=n, temperature=0).tokens)


def chain(always: dict[str, llamacy.Model], ids: list[int], n: int) -> list[int]:
    """Continue `ids`, each token by the factors for the length of the text so far."""
    ids = list(ids)
    for _ in range(n):
        name = "long" if len(ids) > N_SHORT else "short"
        ids.append(int(always[name].logits(ids)[-1].argmax()))
    return ids[-n:]


@pytest.mark.parametrize("n_ctx", [40, 128, 200])
def test_the_length_of_the_text_decides_not_the_context(
    folder: Path, always: dict[str, llamacy.Model], n_ctx: int
) -> None:
    assert always["short"].logits(IDS[:9]).tobytes() != (
        always["long"].logits(IDS[:9]).tobytes()
    )
    with load(folder, n_ctx=n_ctx) as model:
        for n, name in ((9, "short"), (N_SHORT, "short"), (N_SHORT + 1, "long")):
            want = always[name].logits(IDS[:n])
            np.testing.assert_array_equal(model.logits(IDS[:n]), want)
            want_score = always[name].score(IDS[:n]).logprobs
            assert model.score(IDS[:n]).logprobs == want_score


def test_a_text_that_is_to_grow_long_is_long_from_the_beginning(
    model: llamacy.Model, always: dict[str, llamacy.Model]
) -> None:
    for n, name in ((13, "short"), (14, "long")):  # the last token is not read
        assert greedy(model, IDS[:20], n) == greedy(always[name], IDS[:20], n)


def test_a_text_that_becomes_long_is_read_again_and_says_so(
    model: llamacy.Model,
    always: dict[str, llamacy.Model],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "llamacy"):
        result = model.generate(IDS[:20], temperature=0)  # as long as the context is
    assert len(result.tokens) == 108
    assert list(result.tokens[:30]) == chain(always, IDS[:20], 30)
    (record,) = [each for each in caplog.records if "read again" in each.message]
    assert "read again, 32 tokens" in record.message
    assert result.usage.prompt_tokens == 20


@pytest.mark.parametrize("seed", range(3))
def test_a_text_that_becomes_long_within_a_draft_is_the_same(
    model: llamacy.Model, seed: int
) -> None:
    wanted = model.generate(IDS[:20], temperature=0, drafting=False)
    change = wrong_at_random(seed, N_VOCAB)
    with drafting(model, foretelling([*IDS[:20], *wanted.tokens], change)):
        found = model.generate(IDS[:20], temperature=0)
    assert found.tokens == wanted.tokens
    assert found.usage.accepted_tokens > 50
    assert found.timings.n_prompt == wanted.timings.n_prompt - (
        found.usage.cached_tokens - wanted.usage.cached_tokens
    )


def test_short_and_long_texts_share_passes_but_not_keys(
    model: llamacy.Model, always: dict[str, llamacy.Model]
) -> None:
    prompts = [IDS[:20], IDS[:60], IDS[:N_SHORT], IDS[:90]]
    names = ["short", "long", "short", "long"]
    for _ in range(2):  # the second time, the prefix cache has them
        options: Any = {"max_tokens": 1, "temperature": 0, "logprobs": 1}
        found = model.generate(prompts, **options)
        for prompt, name, each in zip(prompts, names, found, strict=True):
            want = always[name].generate(prompt, **options)
            assert each.tokens == want.tokens
            assert each.logprobs[0].logprob == pytest.approx(
                want.logprobs[0].logprob, abs=1e-4
            )
    assert model.generate(IDS[:80], max_tokens=1).usage.cached_tokens >= 32
    assert greedy(model, IDS[:60], 8) == greedy(always["long"], IDS[:60], 8)


def test_a_session_is_read_again_where_it_becomes_long(
    folder: Path,
    model: llamacy.Model,
    always: dict[str, llamacy.Model],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with model.session() as session, caplog.at_level(logging.INFO, "llamacy"):
        session.feed(IDS[:30])
        assert greedy(session, None, 2) == greedy(always["short"], IDS[:30], 2)
        assert "read again" not in caplog.text
        ids = session.tokens
        session.feed(IDS[:8])
        assert "longer than that now" in caplog.text
        assert greedy(session, None, 3) == greedy(always["long"], ids + IDS[:8], 3)
        ids = session.tokens
        session.save(tmp_path / "long.session")
    caplog.clear()
    for other in (model, load(folder, n_ctx=50)):
        with (
            other.load_session(tmp_path / "long.session") as session,
            caplog.at_level(logging.INFO, "llamacy"),
        ):
            assert greedy(session, [3], 4) == greedy(always["long"], [*ids, 3], 4)
    assert "read again" not in caplog.text


def test_the_reference_chooses_alike(
    folder: Path, always: dict[str, llamacy.Model]
) -> None:
    with open_model(folder) as file:
        _, config = read_hyperparameters(file)
        executor = load_executor(file, config, executor="reference")
    assert executor.long_texts == LongTexts(N_SHORT)
    short, long = executor.new_sequence(), executor.new_sequence()
    long.n_long = 1
    batch = Batch.join([(IDS[:9], short, "last"), (IDS[:40], long, "last")])
    found = executor.forward(batch)
    for row, (name, n) in zip(found, (("short", 9), ("long", 40)), strict=True):
        want = always[name].logits(IDS[:n])[-1]
        np.testing.assert_allclose(row, want, atol=1e-3)
    assert long.fork().n_long and not short.fork().n_long
