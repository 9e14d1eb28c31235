"""llamacy runs the demo model's file like PyTorch runs its network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import sentencepiece  # noqa: E402
from demo_model.exporting import CHAT_TEMPLATE, write_gguf  # noqa: E402
from demo_model.network import (  # noqa: E402
    LOOK_BACK,
    Network,
    Shape,
    causal_mask,
    rotate,
)
from demo_model.training import STAGES, Stage, train  # noqa: E402
from demo_model.vocabulary import N_VOCAB, train_vocabulary  # noqa: E402

import llamacy  # noqa: E402

pytestmark = pytest.mark.oracle

TEXT = 'Once upon a time,\n"7 + 12"    is a \N{SNOWMAN}.'


@pytest.fixture(scope="module")
def vocabulary() -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_proto=train_vocabulary(3))


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(3)
    network = Network(Shape(N_VOCAB, n_layer=2))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=parameter.shape[-1] ** -0.5)
    return network


@pytest.fixture(scope="module")
def model(
    network: Network,
    vocabulary: sentencepiece.SentencePieceProcessor,
    tmp_path_factory: pytest.TempPathFactory,
) -> llamacy.Model:
    path = tmp_path_factory.mktemp("demo") / "untrained.gguf"
    write_gguf(path, network, vocabulary)
    return llamacy.load(path, kv_type="f32")


def test_llamacy_encodes_like_the_trained_vocabulary(
    model: llamacy.Model, vocabulary: sentencepiece.SentencePieceProcessor
) -> None:
    assert model.tokenize(TEXT) == [vocabulary.bos_id(), *vocabulary.encode(TEXT)]
    assert model.detokenize(vocabulary.encode(TEXT)) == TEXT


def test_llamacy_computes_the_logits_of_the_network(
    model: llamacy.Model, network: Network
) -> None:
    ids = model.tokenize(TEXT)
    with torch.no_grad():
        wanted = network(torch.tensor([ids]))[0].numpy()
    # the file's matrices are F16: each weight is off by at most 2^-11 of itself
    error = np.abs(model.logits(ids) - wanted).max()
    assert error < 4e-3 * np.abs(wanted).max()


def test_the_file_describes_the_model(model: llamacy.Model) -> None:
    assert "toy" in model.metadata["general.description"]
    assert model.metadata["tokenizer.chat_template"] == CHAT_TEMPLATE


def test_training_lowers_the_loss(
    vocabulary: sentencepiece.SentencePieceProcessor,
) -> None:
    losses: list[float] = []
    stages = [
        Stage(n_steps=12, rate=5e-3, warmup=5, decay=0.2),
        Stage(6, 5e-3, 1, 1.0, emphasis={"passage": 9.0}),
    ]
    train(vocabulary, 3, stages, losses.append)
    assert len(losses) == 18
    assert np.mean(losses[-3:]) < 0.75 * losses[0]


def test_the_learning_rate_rises_and_falls() -> None:
    for stage in STAGES:
        factors = [stage.factor(step) for step in range(stage.n_steps + 1)]
        assert max(factors) == 1
        assert factors[0] == 1 / stage.warmup
        assert factors[-1] == 0
        assert np.diff(factors[stage.n_steps // 2 :]).max() <= 0


def test_heads_initially_attend_to_earlier_tokens() -> None:
    network = Network(Shape(n_vocab=300))
    shape, block = network.shape, network.blk[0]
    ids = torch.randint(300, (1, 40), generator=torch.manual_seed(1))
    x = block.attn_norm(network.token_embd(ids))

    def turned(rows: Any) -> Any:
        heads = rows.unflatten(-1, (-1, shape.head_dim)).transpose(1, 2)
        return rotate(heads, network.rotation[:40])

    q, k = turned(block.attn_q(x)), turned(block.attn_k(x))
    n_shared = shape.n_head // shape.n_head_kv
    scores = q @ k.repeat_interleave(n_shared, 1).mT / shape.head_dim**0.5
    mask = causal_mask(torch.zeros(1, 40, dtype=torch.bool))
    looks = (scores + mask).softmax(-1)[0]
    for head_kv, distance in enumerate(LOOK_BACK):
        for head in range(head_kv * n_shared, (head_kv + 1) * n_shared):
            assert looks[head].diagonal(-distance).mean() > 0.8
