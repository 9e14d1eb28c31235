"""Models rank documents."""

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
from tests.support.rewriting import rewrite

QUERY = "who lives here?"
DOCUMENTS = ["the cat lives here.", "", "the dog sat on the mat."]


@pytest.fixture(scope="module")
def model(cross_encoder: Path) -> Iterator[llamacy.Model]:
    with llamacy.load(cross_encoder, n_threads=1) as model:
        yield model


@pytest.fixture(scope="module")
def judge(yes_or_no: Path) -> Iterator[llamacy.Model]:
    with llamacy.load(yes_or_no, n_threads=1) as model:
        yield model


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def numbers(model: llamacy.Model, query: list[int], documents: list[list[int]]) -> Any:
    """Return the classifier's numbers of pairs, to which it adds the other tokens."""
    found = []
    for document in documents:
        first, second = [2, *query, 3], [*document, 3]
        types = [[0] * len(first) + [1] * len(second)]
        batch = TextBatch.of([first + second], types)
        found.append(model.executor.embed(batch, "rank")[0, 0])
    return np.array(found)


def test_scores_are_the_classifiers_in_the_order_given(model: llamacy.Model) -> None:
    query, *documents = [
        model.tokenize(text, add_bos=False) for text in (QUERY, *DOCUMENTS)
    ]
    wanted = numbers(model, query, documents)
    found = model.rerank(QUERY, iter(DOCUMENTS))
    assert found.scores.dtype == np.float32
    np.testing.assert_allclose(found.scores, sigmoid(wanted), rtol=1e-6)
    plain = model.rerank(QUERY, DOCUMENTS, activation="identity")
    np.testing.assert_array_equal(plain.scores, wanted)
    assert found.order == plain.order == np.argsort(-wanted).tolist()
    n_query = len(query)
    assert found.token_counts == tuple(n_query + len(each) + 3 for each in documents)
    assert found.usage.prompt_tokens == sum(found.token_counts)


def test_a_ranking_is_a_sequence_of_the_best(model: llamacy.Model) -> None:
    whole = model.rerank(QUERY, DOCUMENTS)
    best = model.rerank(QUERY, DOCUMENTS, top_n=2)
    np.testing.assert_array_equal(best.scores, whole.scores)
    assert list(best) == list(whole)[:2]
    assert len(best) == 2
    assert best[0] == (whole.order[0], float(whole.scores.max()))
    assert (whole[:2], whole[-1]) == (list(best), list(whole)[-1])
    same = model.rerank(QUERY, ["the cat"] * 4)
    assert same.order == [0, 1, 2, 3]
    none = model.rerank(QUERY, [])
    assert (none.order, none.scores.shape, none.usage.prompt_tokens) == ([], (0,), 0)


def test_pairs_are_refused_or_cut_where_they_are_longest(model: llamacy.Model) -> None:
    with pytest.raises(llamacy.ContextLengthError) as caught:
        model.rerank(QUERY, ["the", "cat " * N_CTX])
    assert caught.value.index == 1
    assert caught.value.n_tokens == N_CTX + 7
    assert str(caught.value).startswith("documents[1]: ")
    query = model.tokenize(QUERY, add_bos=False)
    cat = model.tokenize("cat", add_bos=False)
    n_free = N_CTX - 3
    cut = model.rerank(QUERY, ["cat " * N_CTX], truncate=True, activation="identity")
    wanted = numbers(model, query, [cat * (n_free - len(query))])
    np.testing.assert_array_equal(cut.scores, wanted)
    assert (cut.token_counts, cut.cut_counts) == ((N_CTX,), (7,))
    both = model.rerank(
        "the " * 40, ["cat " * 50], truncate=True, activation="identity"
    )
    the = model.tokenize("the", add_bos=False)
    half = n_free // 2
    wanted = numbers(model, the * half, [cat * (n_free - half)])
    np.testing.assert_array_equal(both.scores, wanted)


def test_the_makers_activation_is_used(write_encoder: WriteEncoder) -> None:
    path = write_encoder(
        pooling_type=4,
        also=("cls.output.weight",),
        embedding__score_activation="identity",
    )
    with llamacy.load(path, n_threads=1) as model:
        plain = model.rerank(QUERY, DOCUMENTS)
        other = model.rerank(QUERY, DOCUMENTS, activation="sigmoid")
        np.testing.assert_allclose(other.scores, sigmoid(plain.scores), rtol=1e-6)


def question(document: str, instruction: str | None = None) -> str:
    instruction = instruction or (
        "Given a web search query, retrieve relevant passages that answer the query"
    )
    return (
        "<|im_start|>system\nJudge whether the Document meets the requirements based "
        'on the Query and the Instruct provided. Note that the answer can only be "yes"'
        f' or "no".<|im_end|>\n<|im_start|>user\n<Instruct>: {instruction}\n'
        f"<Query>: {QUERY}\n<Document>: {document}<|im_end|>\n<|im_start|>assistant\n"
        "<think>\n\n</think>\n\n"
    )


def probability(model: llamacy.Model, ids: list[int]) -> float:
    """Return the probability of yes rather than no after a question."""
    yes, no = (model.tokenize(text)[0] for text in ("yes", "no"))
    last = model.logits(ids)[-1]
    return float(sigmoid(last[yes] - last[no]))


def test_a_model_that_writes_is_asked_for_yes_or_no(judge: llamacy.Model) -> None:
    texts = [question(each) for each in DOCUMENTS]
    ids = [judge.tokenize(text, parse_special=True) for text in texts]
    found = judge.rerank(QUERY, DOCUMENTS)
    wanted = [probability(judge, each) for each in ids]
    np.testing.assert_allclose(found.scores, wanted, rtol=1e-5)
    assert found.token_counts == tuple(map(len, ids))
    told = judge.rerank(QUERY, DOCUMENTS[:1], instruction="Find cats")
    ids = [judge.tokenize(question(DOCUMENTS[0], "Find cats"), parse_special=True)]
    np.testing.assert_allclose(told.scores, [probability(judge, ids[0])], rtol=1e-5)


def test_marks_in_documents_do_not_end_the_question(judge: llamacy.Model) -> None:
    mark = "<|im_end|>"
    found = judge.rerank(QUERY, [mark])
    n_mark = len(judge.tokenize(mark))
    assert n_mark == len(mark)
    assert found.token_counts == (judge.rerank(QUERY, [""]).token_counts[0] + n_mark,)


def test_a_document_is_cut_before_the_end_of_the_question(judge: llamacy.Model) -> None:
    with pytest.raises(llamacy.ContextLengthError, match=r"documents\[0\]: .* 700 tok"):
        judge.rerank(QUERY, ["x" * 700])
    found = judge.rerank(QUERY, ["x" * 700, "y"], truncate=True)
    assert (found.token_counts[0], found.cut_counts[1]) == (700, 0)
    n_fits = 700 - found.cut_counts[0]
    np.testing.assert_array_equal(
        judge.rerank(QUERY, ["x" * n_fits]).scores, found.scores[:1]
    )
    with pytest.raises(llamacy.ContextLengthError):
        judge.rerank("x" * 700, ["y"], truncate=True)


def test_the_beginning_of_questions_is_read_once(judge: llamacy.Model) -> None:
    shares: list[float] = []
    judge.rerank(QUERY, DOCUMENTS * 2, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_classifier_of_yes_and_no_gives_the_probability_of_yes(
    yes_or_no: Path, tmp_path: Path
) -> None:
    """As in files of llama.cpp's converter."""
    with llamacy.load(yes_or_no, n_threads=1, kv_type="f32") as judge:
        wanted = judge.rerank(QUERY, DOCUMENTS).scores
        path = _with_classifier(judge, yes_or_no, tmp_path)
    with llamacy.load(path, n_threads=1) as model:
        found = model.rerank(QUERY, DOCUMENTS).scores
        np.testing.assert_allclose(found, wanted, atol=2e-6)


def _with_classifier(judge: llamacy.Model, source: Path, folder: Path) -> Path:
    yes, no = (judge.tokenize(text)[0] for text in ("yes", "no"))
    executor = judge.executor
    name = (
        "output.weight" if "output.weight" in executor.shapes else "token_embd.weight"
    )
    rows = [executor.weight_rows(name, token, 1)[0] for token in (no, yes)]
    return rewrite(
        source,
        folder / "model.gguf",
        {"cls.output.weight": np.array(rows)},
        keys={"qwen3.pooling_type": 4},
        texts={"qwen3.classifier.output_labels": ["no", "yes"]},
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query": 3}, "query: wanted a str, found 3"),
        ({"documents": "one"}, "documents: wanted an iterable of them, found a single"),
        ({"documents": ["a", 3]}, r"documents\[1\]: wanted a text, found 3"),
        ({"documents": 3}, "documents: wanted a list of texts, found 3"),
        ({"top_n": 0}, "top_n: wanted an integer of at least 1, found 0"),
        ({"activation": "relu"}, "activation: wanted one of sigmoid, identity, found"),
        ({"truncate": 1}, "truncate: wanted True or False, found 1"),
        ({"instruction": "x"}, "instruction: wanted none, as the model is told"),
        ({"cancel": 1}, "cancel: wanted something with is_set"),
    ],
)
def test_bad_arguments_are_named(
    model: llamacy.Model, options: dict[str, Any], message: str
) -> None:
    given = {"query": QUERY, "documents": DOCUMENTS} | options
    with pytest.raises(llamacy.ArgumentError, match=message):
        model.rerank(**given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"query": "a\ud800"}, "query: wanted Unicode, found the lone surrogate"),
        ({"documents": ["a", "\ud800"]}, r"documents\[1\]: wanted Unicode, found"),
        ({"instruction": "\ud800"}, "instruction: wanted Unicode, found"),
        ({"instruction": 0}, "instruction: wanted a str, found 0"),
    ],
)
def test_texts_that_are_not_unicode_are_named(
    model: llamacy.Model, judge: llamacy.Model, options: dict[str, Any], message: str
) -> None:
    given = {"query": QUERY, "documents": DOCUMENTS} | options
    for each in (model, judge):
        with pytest.raises(llamacy.ArgumentError, match=f"^{message}"):
            each.rerank(**given)


def test_models_that_cannot_rank_say_so(
    encoder: Path, babble_model: Path, write_encoder: WriteEncoder
) -> None:
    labels: dict[str, Any] = {"classifier__output_labels": ["sad", "glad", "mad"]}
    moods = write_encoder(pooling_type=4, also=("cls.output.weight",), **labels)
    for path, message in (
        (encoder, "model: wanted a reranker, found an encoder without a classifier"),
        (babble_model, "model: wanted a reranker, found family llama"),
        (moods, "with one score or those of yes and no, found a classifier with 3"),
    ):
        with (
            llamacy.load(path, n_threads=1) as model,
            pytest.raises(llamacy.ArgumentError, match=message),
        ):
            model.rerank(QUERY, DOCUMENTS)


def test_tasks_rank_and_calls_are_cancelled(
    model: llamacy.Model, judge: llamacy.Model
) -> None:
    cancel = threading.Event()
    cancel.set()
    for each in (model, judge):
        wanted = each.rerank(QUERY, DOCUMENTS)
        found = asyncio.run(each.arerank(QUERY, DOCUMENTS))
        np.testing.assert_array_equal(found.scores, wanted.scores)
        assert found.order == wanted.order
        with pytest.raises(llamacy.CancelledError, match="the call was cancelled"):
            each.rerank(QUERY, DOCUMENTS, cancel=cancel)
