"""Models embed texts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llamacy
from llamacy.ops.batch import TextBatch
from tests.support.encoder_fixtures import N_CTX, WriteEncoder

TEXTS = ["the cat sat on a mat.", "", "who lives here?", "xyz " * 3]
LONG = "the " * (N_CTX + 6)


@pytest.fixture(scope="module")
def model(encoder: Path) -> Iterator[llamacy.Model]:
    with llamacy.load(encoder, n_threads=1, n_batch=32) as model:
        yield model


def rows(model: llamacy.Model, text: str, pooling: Any = "mean") -> Any:
    """Return what the executor makes of a text."""
    ids = model.tokenizer.encode(text)
    return model.executor.embed(TextBatch.of([ids]), pooling)


def test_vectors_are_the_executors_normalised(model: llamacy.Model) -> None:
    found = model.embed(TEXTS)
    assert found.shape == (4, 64)
    assert found.dtype == np.float32
    for text, vector in zip(TEXTS, found, strict=True):
        wanted = rows(model, text)[0]
        np.testing.assert_allclose(vector, wanted / np.linalg.norm(wanted), rtol=1e-6)
    counts = [len(model.tokenize(text)) for text in TEXTS]
    assert found.token_counts == tuple(counts)
    assert found.usage == llamacy.Usage(sum(counts), 0)


def test_one_text_has_one_vector(model: llamacy.Model) -> None:
    several = model.embed(TEXTS[:1])
    for one in (TEXTS[0], model.tokenize(TEXTS[0]), np.array(model.tokenize(TEXTS[0]))):
        found = model.embed(one)
        np.testing.assert_array_equal(found, several[0])
        assert found.token_counts == several.token_counts


def test_any_iterable_holds_texts(model: llamacy.Model) -> None:
    wanted = model.embed(TEXTS)
    as_ids: Any = [model.tokenize(text) for text in TEXTS]
    for texts in (tuple(TEXTS), iter(TEXTS), np.array(TEXTS, object), as_ids):
        np.testing.assert_array_equal(model.embed(texts), wanted)
    assert model.embed(iter(as_ids[0])).shape == (64,)
    empty: list[Any] = [[], iter([])]
    for nothing in empty:
        found = model.embed(nothing)
        assert (found.shape, found.token_counts) == ((0, 64), ())
    assert model.embed([], pooling="none") == []


def test_an_iterable_is_read_as_its_texts_are_embedded(
    model: llamacy.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llamacy.generation.embedding.calls.WINDOW", 3)
    taken: list[int] = []
    shares: list[tuple[float, int]] = []

    def texts() -> Iterator[str]:
        for i in range(8):
            taken.append(i)
            yield TEXTS[i % 4]

    found = model.embed(texts())
    np.testing.assert_array_equal(found, model.embed(TEXTS * 2))
    model.embed(TEXTS * 2, progress=lambda share: shares.append((share, len(taken))))
    assert [share for share, _ in shares] == sorted({share for share, _ in shares})
    assert shares[-1][0] == 1.0
    taken.clear()
    with pytest.raises(llamacy.ContextLengthError) as caught:
        model.embed(text if i != 4 else LONG for i, text in enumerate(texts()))
    assert (caught.value.index, taken) == (4, [0, 1, 2, 3, 4, 5])


def test_pooling_is_the_files_unless_it_is_given(
    model: llamacy.Model, babble_model: Path
) -> None:
    np.testing.assert_array_equal(
        model.embed(TEXTS), model.embed(TEXTS, pooling="mean")
    )
    with llamacy.load(babble_model, n_threads=1) as writer:
        found = writer.embed("bada", normalize=False)
        np.testing.assert_array_equal(found, rows(writer, "bada", "last")[0])
        mean = writer.embed("bada", normalize=False, pooling="mean")
        np.testing.assert_array_equal(mean, rows(writer, "bada", "mean")[0])


def test_without_pooling_every_token_has_a_vector(model: llamacy.Model) -> None:
    found = model.embed(TEXTS, pooling="none")
    for text, each in zip(TEXTS, found, strict=True):
        np.testing.assert_array_equal(each, rows(model, text, "none"))
        assert type(each) is np.ndarray
    one = model.embed(TEXTS[0], pooling="none", normalize=True)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1, rtol=1e-6)


def test_dimensions_are_cut_before_vectors_are_normalised(model: llamacy.Model) -> None:
    found = model.embed(TEXTS, dimensions=8)
    whole = model.embed(TEXTS, normalize=False)
    np.testing.assert_array_equal(
        model.embed(TEXTS, dimensions=8, normalize=False), whole[:, :8]
    )
    norms = np.linalg.norm(whole[:, :8], axis=1, keepdims=True)
    np.testing.assert_allclose(found, whole[:, :8] / norms, rtol=1e-6)
    wrong: Any
    for wrong in (0, 65, 1.5):
        with pytest.raises(llamacy.ArgumentError, match="dimensions: wanted an integ"):
            model.embed(TEXTS, dimensions=wrong)


def test_a_text_that_is_too_long_is_refused_or_cut_before_its_end(
    model: llamacy.Model,
) -> None:
    with pytest.raises(llamacy.ContextLengthError) as caught:
        model.embed(["the", LONG])
    assert (caught.value.n_tokens, caught.value.n_ctx) == (N_CTX + 8, N_CTX)
    assert caught.value.index == 1
    assert str(caught.value).startswith("texts[1]: ")
    texts: list[Any] = ["the", LONG, model.tokenize(LONG)]
    found = model.embed(texts, truncate=True)
    assert found.token_counts == (3, N_CTX, N_CTX)
    assert found.cut_counts == (0, 8, 8)
    for cut in found[1:]:
        np.testing.assert_array_equal(cut, model.embed("the " * (N_CTX - 2)))


def test_names_of_control_tokens_are_text(model: llamacy.Model) -> None:
    assert model.embed("a [SEP] a").token_counts == (9,)  # [ and ] are unknown


def test_prompts_come_before_texts(write_encoder: WriteEncoder) -> None:
    prompts: dict[str, Any] = {
        "embedding__prompt_names": ["query", "passage"],
        "embedding__prompts": ["who ", "the "],
        "embedding__default_prompt": "passage",
    }
    with llamacy.load(write_encoder(**prompts), n_threads=1) as model:
        wanted = model.embed("the cat", prompt="")
        np.testing.assert_array_equal(model.embed("cat"), wanted)
        np.testing.assert_array_equal(model.embed("cat", prompt="the "), wanted)
        query = model.embed("cat", prompt_name="query")
        np.testing.assert_array_equal(query, model.embed("who cat", prompt=""))
        ids = model.tokenize("who cat")
        np.testing.assert_array_equal(query, model.embed(ids))
        refused: tuple[tuple[Any, dict[str, Any], str], ...] = (
            ("a", {"prompt_name": "x"}, "prompt_name: wanted one of query, passage, f"),
            ("a", {"prompt": "a", "prompt_name": "query"}, "prompt: wanted it or pro"),
            ("a", {"prompt": 3}, "prompt: wanted a str, found int"),
            (ids, {"prompt": "who "}, "text: wanted a text, which a prompt can be put"),
        )
        for text, options, message in refused:
            with pytest.raises(llamacy.ArgumentError, match=message):
                model.embed(text, **options)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (3, {}, "text: wanted text or token ids, found 3"),
        ({"a": 1}, {}, "text: wanted text or token ids, or a list of several, found a"),
        (["a", None], {}, r"texts\[1\]: wanted token ids, found None"),
        (["a", [999]], {}, r"texts\[1\]: wanted token ids from 0 to 66, found 999"),
        (["a", []], {}, r"texts\[1\]: wanted at least one token, found none"),
        ("a", {"pooling": "max"}, "pooling: wanted one of mean, cls, last, none, foun"),
        ("a", {"pooling": "rank"}, "pooling: wanted one of mean, cls, last, none, fou"),
        ("a", {"normalize": 1}, "normalize: wanted True or False, found 1"),
        ("a", {"truncate": None}, "truncate: wanted True or False, found None"),
        ("a", {"cancel": 1}, "cancel: wanted something with is_set"),
        ("a", {"progress": 1}, "progress: wanted a callable, found 1"),
    ],
)
def test_bad_arguments_are_named(
    model: llamacy.Model, text: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(llamacy.ArgumentError, match=message):
        model.embed(text, **options)


def test_a_model_that_ranks_texts_does_not_embed_them(cross_encoder: Path) -> None:
    with llamacy.load(cross_encoder, n_threads=1) as model:
        with pytest.raises(llamacy.ArgumentError, match="found one that ranks them"):
            model.embed("a")
        assert model.embed("a", pooling="cls").shape == (64,)


def test_broken_weights_are_found_where_they_act(write_encoder: WriteEncoder) -> None:
    with llamacy.load(write_encoder(broken="dog"), n_threads=1) as model:
        for pooling in ("mean", "none"):
            options: dict[str, Any] = {"pooling": pooling}
            with pytest.raises(llamacy.ModelOutputError, match=r"^texts\[2\]: an emb"):
                model.embed(["the cat", "", "a dog", "a mat"], **options)
        assert np.isfinite(model.embed(["the cat", "a mat"])).all()


def test_a_call_ends_when_it_is_cancelled_or_its_progress_raises(
    model: llamacy.Model,
) -> None:
    cancel = threading.Event()
    with pytest.raises(llamacy.CancelledError, match="the call was cancelled"):
        model.embed(TEXTS * 20, cancel=cancel, progress=lambda _: cancel.set())

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.embed(TEXTS * 20, progress=interrupt)
    assert model.engine.load().n_waiting == 0
    assert model.embed(TEXTS).shape == (4, 64)


def test_tasks_and_threads_embed_beside_a_text_that_is_generated(
    babble_model: Path,
) -> None:
    with llamacy.load(babble_model, n_threads=1) as model:
        wanted = model.embed(["bada", "gigo"])
        alone = model.generate("bada", max_tokens=30, temperature=0).text
        found: list[Any] = []

        def embed() -> None:
            found.extend(model.embed(["bada", "gigo"]) for _ in range(5))

        threads = [threading.Thread(target=embed) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert model.generate("bada", max_tokens=30, temperature=0).text == alone
        for thread in threads:
            thread.join()

        async def tasks() -> list[Any]:
            each = (model.aembed(["bada", "gigo"]) for _ in range(5))
            return list(await asyncio.gather(*each))

        found += asyncio.run(tasks())
        assert len(found) == 20
        for each in found:
            np.testing.assert_array_equal(each, wanted)
            assert each.token_counts == wanted.token_counts


def test_a_closed_model_embeds_nothing(encoder: Path) -> None:
    model = llamacy.load(encoder, n_threads=1)
    model.close()
    with pytest.raises(llamacy.ClosedError):
        model.embed("a")


def test_a_call_ends_when_its_model_is_closed(encoder: Path) -> None:
    model = llamacy.load(encoder, n_threads=1, n_batch=8)
    with pytest.raises(llamacy.ClosedError):
        model.embed(TEXTS * 100, progress=lambda _: model.close())


def test_the_makers_limit_is_the_context_unless_another_is_given(
    write_encoder: WriteEncoder,
) -> None:
    path = write_encoder(embedding__max_tokens=10)
    for n_ctx, wanted in ((None, 10), (20, 20)):
        with llamacy.load(path, n_threads=1, n_ctx=n_ctx) as model:
            assert model.n_ctx == wanted


def test_a_pass_of_an_encoder_is_explained(model: llamacy.Model) -> None:
    report = model.executor.explain(16, repetitions=1)  # type: ignore[union-attr]
    assert (report.n_rows, report.n_past, report.n_wanted) == (16, 0, 1)
    assert {"attention", "mean"} <= {step.kind.split()[0] for step in report.steps}
    assert report.cost.n_bytes > 0
    with pytest.raises(llamacy.ArgumentError, match="n_past: wanted an integer from 0"):
        model.executor.explain(1, n_past=1)  # type: ignore[union-attr]
