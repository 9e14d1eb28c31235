"""Dynamic RoPE scaling: rotations depend on how long the text is.

The model was trained with 32 tokens. As in transformers, a longer prompt is rotated for
its own length, and each token after it for the length of the text that ends with it.
"""

from __future__ import annotations

import json
import logging
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.errors import FormatError
from llamacy.generation.context import Context
from llamacy.model.executors import load_executor
from llamacy.model_files.hyperparameters import read_hyperparameters
from llamacy.model_files.opening import open_model
from llamacy.ops.batch import Batch
from llamacy.ops.rope import LongTexts
from tests.support.hugging_face import write_babble

N_SHORT, N_CTX = 32, 96
IDS = [int(each) for each in np.random.default_rng(7).integers(3, 60, 90)]
DYNAMIC = {"rope_type": "dynamic", "factor": 3.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = {"max_position_embeddings": N_SHORT, "rope_scaling": DYNAMIC}
    return write_babble(tmp_path_factory.mktemp("dynamic") / "llama", config=config)


@pytest.fixture
def model(folder: Path) -> Iterator[llamacy.Model]:
    with load(folder) as model:
        yield model


def load(path: Path) -> llamacy.Model:
    return llamacy.load(path, kv_type="f32", n_threads=1, n_ctx=N_CTX)


def greedy(model: Any, ids: list[int] | None, n: int) -> list[int]:
    return list(model.generate(ids, max_tokens=n, temperature=0).tokens)


def reference(folder: Path, ids: list[int], n: int) -> list[int]:
    """Continue `ids`: one pass for them, and one for each token after them."""
    with open_model(folder) as file:
        _, config = read_hyperparameters(file)
        executor = load_executor(file, config, executor="reference")
    assert executor.long_texts == LongTexts(N_SHORT, is_dynamic=True)
    sequence = executor.new_sequence()
    sequence.n_long = executor.long_texts.n_long(len(ids))
    ids = list(ids)
    for _ in range(n):
        batch = Batch.of(ids[sequence.n_past :], sequence, "last")
        ids.append(int(executor.forward(batch)[-1].argmax()))
    return ids[-n:]


def test_a_text_grows_as_it_does_in_transformers(
    folder: Path, model: llamacy.Model, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "llamacy"):
        for n in (N_SHORT - 8, N_SHORT, N_SHORT + 1, 60):
            for _ in range(2):  # the second time, the prefix cache has it
                assert greedy(model, IDS[:n], 20) == reference(folder, IDS[:n], 20)
    assert "read again" not in caplog.text


def test_texts_of_all_lengths_share_passes_but_not_keys(
    folder: Path, model: llamacy.Model
) -> None:
    prompts = [IDS[:20], IDS[:60], IDS[:61], IDS[:N_SHORT], IDS[:75]]
    for _ in range(2):
        found = model.generate(prompts, max_tokens=8, temperature=0)
        for prompt, each in zip(prompts, found, strict=True):
            assert list(each.tokens) == reference(folder, prompt, 8)


def test_short_texts_are_not_scaled(folder: Path, tmp_path: Path) -> None:
    plain = write_babble(tmp_path / "plain", config={"max_position_embeddings": 32})
    with load(folder) as model, load(plain) as other:
        want = other.logits(IDS[:N_SHORT])
        np.testing.assert_array_equal(model.logits(IDS[:N_SHORT]), want)
        longer = [each.logits(IDS[: N_SHORT + 8]) for each in (model, other)]
        assert np.abs(longer[0] - longer[1]).max() > 1e-3


def test_a_session_is_read_again_for_its_new_length_and_says_so(
    folder: Path,
    model: llamacy.Model,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with model.session() as session, caplog.at_level(logging.INFO, "llamacy"):
        session.feed(IDS[:40])
        assert greedy(session, None, 4) == reference(folder, IDS[:40], 4)
        ids = session.tokens
        assert "read again" not in caplog.text
        session.save(tmp_path / "one.session")
        assert greedy(session, IDS[:3], 4) == reference(folder, ids + IDS[:3], 4)
        assert "factors for each length" in caplog.text
    with model.load_session(tmp_path / "one.session") as session:
        assert session.tokens == ids
        assert greedy(session, IDS[:3], 4) == reference(folder, ids + IDS[:3], 4)


def test_texts_to_compare_are_rotated_alike_and_others_each_for_itself() -> None:
    for is_dynamic, wanted in ((True, (60, 60, 80)), (False, (1, 1, 1))):
        context = Context(IDS[:60], N_CTX, long_texts=LongTexts(N_SHORT, is_dynamic))
        found = [context.n_long]
        context.expect(70)
        found.append(context.n_long)
        context.be_as_long_as(80)
        assert (*found, context.n_long) == wanted
    context = Context(IDS[:8], N_CTX, long_texts=LongTexts(N_SHORT, is_dynamic=True))
    context.be_as_long_as(N_SHORT)
    assert context.n_long == 0


def test_converting_keeps_the_scaling(folder: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.gguf"
    llamacy.convert(folder, made)
    with load(folder) as model, load(made) as converted:
        ids = IDS[:60]
        np.testing.assert_array_equal(converted.logits(ids), model.logits(ids))


@pytest.mark.parametrize("n_long", [10**30, 1, -5, "40", 2.5, None, True])
def test_impossible_lengths_in_sessions_are_refused(
    model: llamacy.Model, tmp_path: Path, n_long: Any
) -> None:
    good, bad = tmp_path / "good.session", tmp_path / "bad.session"
    with model.session() as session:
        session.feed(IDS[:40])
        session.save(good)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "header.json":
                header = json.loads(data)
                assert header["n_long"] == 40
                data = json.dumps(header | {"n_long": n_long}).encode()
            target.writestr(name, data)
    with pytest.raises(FormatError, match="header n_long: wanted"):
        model.load_session(bad)
