"""Training: the corpus in batches, Muon for the matrices, AdamW for the rest.

Muon (Jordan et al., 2024) orthogonalises a matrix's momentum; on networks this small it
needs fewer tokens than AdamW for the same loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import sentencepiece
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from .corpus import tokens
from .network import Network, Shape

N_BATCH = 8  # texts of n_ctx tokens in a step
_WEIGHT_DECAY = 0.1

# Token ids, int64 (N_BATCH, n_ctx); the tokens to predict, int64 (n_counted,); and each
# position's weight in the loss, float32 (N_BATCH, n_ctx), 0 for positions left out.
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@dataclass(frozen=True)
class Stage:
    """One stage of the training: its length, its learning rate, and its text.

    The rate rises over `warmup` steps, and falls to zero over the last share `decay` of
    the steps. `emphasis` changes how often kinds of instructions are drawn.
    """

    n_steps: int
    rate: float
    warmup: int
    decay: float
    emphasis: Mapping[str, float] = field(default_factory=dict)

    def factor(self, step: int) -> float:
        """Return the fraction of the learning rate to use at a step."""
        left = (self.n_steps - step) / (self.n_steps * self.decay)
        return min(1.0, (step + 1) / self.warmup, left)


# arithmetic takes longest to learn, and is practised most at the end
STAGES = (
    Stage(n_steps=2800, rate=2e-3, warmup=100, decay=0.8),
    Stage(
        n_steps=1300,
        rate=1.5e-3,
        warmup=50,
        decay=0.9,
        emphasis={"difference": 10.0, "sum": 6.0, "counting letters": 4.0},
    ),
)


def train(
    vocabulary: sentencepiece.SentencePieceProcessor,
    seed: int,
    stages: Sequence[Stage],
    progress: Callable[[float], None],
) -> Network:
    """Train a network, stage by stage; `progress` is called with each step's loss."""
    torch.manual_seed(seed)
    network = Network(Shape(n_vocab=vocabulary.vocab_size()))
    for number, stage in enumerate(stages):
        batches = _batches(vocabulary, seed + number, stage, network.shape.n_ctx)
        run_stage(network, stage, batches, progress)
    return network


def run_stage(
    network: Network,
    stage: Stage,
    batches: Iterable[Batch],
    progress: Callable[[float], None],
) -> None:
    """Train `network` on `batches`, with new optimizers for the stage."""
    optimizers = _optimizers(network, stage)
    schedulers = [
        torch.optim.lr_scheduler.LambdaLR(each, stage.factor) for each in optimizers
    ]
    for ids, targets, weights in batches:
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(ids, weights > 0)
            losses = F.cross_entropy(logits.float(), targets, reduction="none")
            counted = weights[weights > 0]
            loss = (losses * counted).sum() / counted.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for each in (*optimizers, *schedulers):
            each.step()
        network.zero_grad()
        progress(loss.item())


def _optimizers(network: Network, stage: Stage) -> list[torch.optim.Optimizer]:
    matrices = [p for p in network.blk.parameters() if p.ndim == 2]
    chosen = {id(p) for p in matrices}
    rest = [p for p in network.parameters() if id(p) not in chosen]
    return [
        torch.optim.Muon(
            matrices,
            lr=stage.rate,
            weight_decay=_WEIGHT_DECAY,
            adjust_lr_fn="match_rms_adamw",
        ),
        torch.optim.AdamW(rest, lr=stage.rate, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def _batches(
    vocabulary: sentencepiece.SentencePieceProcessor,
    seed: int,
    stage: Stage,
    n_ctx: int,
) -> Iterator[Batch]:
    """Yield batches of documents, one after another, and the tokens to predict.

    Each batch is `ids`, int64 (n_batch, n_ctx); the tokens with a weight above 0, int64
    (n_counted,); and the weight of each position's next token, float32.
    """
    n_rows, width = stage.n_steps * N_BATCH, n_ctx + 1
    ids, weights = _stream(vocabulary, seed, n_rows * width, stage.emphasis)
    order = np.random.default_rng(seed).permutation(n_rows)
    for chosen in order.reshape(-1, N_BATCH):
        rows = torch.from_numpy(ids.reshape(n_rows, width)[chosen].astype(np.int64))
        counts = torch.from_numpy(weights.reshape(n_rows, width)[chosen])[:, 1:]
        yield rows[:, :-1], rows[:, 1:][counts > 0], counts


def _stream(
    vocabulary: sentencepiece.SentencePieceProcessor,
    seed: int,
    n_tokens: int,
    emphasis: Mapping[str, float],
) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Return all tokens of the training, and their weights."""
    parts = list(tokens(seed, n_tokens, vocabulary, emphasis))
    ids = np.concatenate([ids for ids, _ in parts])
    weights = np.concatenate([weights for _, weights in parts])
    return ids[:n_tokens], weights[:n_tokens]
