"""An executor that continues texts from a script, without arithmetic."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llamacy.config import Pooling
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.completions import completion
from llamacy.generation.context import Context
from llamacy.generation.drafting.drafter import MakeDrafter
from llamacy.generation.gather import gather
from llamacy.generation.goals.complete import Complete, MakeRoom
from llamacy.generation.mailbox import ThreadMailbox
from llamacy.generation.request import Request
from llamacy.generation.scheduler import Scheduler
from llamacy.generation.worker import Worker
from llamacy.ops.batch import Batch, GoOn, TextBatch
from llamacy.ops.rope import LongTexts
from llamacy.ops.state.sequence import NEVER
from llamacy.results import Completion
from llamacy.sampling import SamplingParams

EOG = 0
N_VOCAB = 300
_SURE = np.eye(N_VOCAB, dtype=np.float32)  # logits of each token


class Vocabulary:
    """Token 1 + b is the byte b; tokens from 257 on are the given words."""

    n_vocab = N_VOCAB - 1  # one less than a model's that pads its vocabulary
    eog_ids = frozenset([EOG])
    suppressed = suppressed_first = frozenset[int]()
    markers: tuple[str, ...] = ()

    def __init__(self, words: Mapping[int, bytes] | None = None) -> None:
        self.words = dict(words or {})

    def token_bytes(self, token: int) -> bytes:
        assert token < self.n_vocab
        return self.words.get(token, bytes([token - 1]) if 1 <= token <= 256 else b"")

    def piece(self, token: int) -> str:
        return f"<{token}>"

    @staticmethod
    def ids(text: str) -> list[int]:
        return [1 + byte for byte in text.encode()]


class ScriptedSequence:
    """Remembers the tokens it has read, so that positions can be checked."""

    def __init__(self, owner: ScriptedExecutor) -> None:
        self.owner, self.held, self.closed = owner, list[int](), False
        self.most = 0  # tokens ever read
        self.n_long = 0
        self.adapted_from = NEVER
        owner.sequences.append(self)

    @property
    def n_past(self) -> int:
        return len(self.held)

    @property
    def pages(self) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(self.held[: i + 32]) for i in range(0, len(self.held), 32))

    @property
    def memory(self) -> dict[Hashable, int]:
        return dict.fromkeys(self.pages, 1)

    def mark(self, lengths: Iterable[int]) -> None:
        pass

    def try_rows(self, n_rows: int) -> None:
        pass

    def thin(self) -> bool:
        return False

    def nearest(self, n: int) -> int:
        return n if self.can_go_back(n) else 0

    def fork(self) -> ScriptedSequence:
        assert not self.closed
        twin = ScriptedSequence(self.owner)
        twin.held, twin.most = list(self.held), self.most
        twin.n_long = self.n_long
        twin.adapted_from = self.adapted_from
        return twin

    def can_go_back(self, n: int) -> bool:
        return n == 0 or n >= max(self.most, len(self.held)) - self.owner.reach

    def truncate(self, n: int) -> None:
        assert 0 <= n <= len(self.held)
        self.most = max(self.most, len(self.held)) if self.can_go_back(n) else 0
        del self.held[n if self.can_go_back(n) else 0 :]

    def close(self) -> None:
        self.closed = True


class ScriptedExecutor:
    """Continues each prompt that is a key of `script` with its value, token by token.

    Its sequences can go back by `reach` tokens. A call runs up to `most_passes`.
    """

    most_passes = 1

    def __init__(
        self, script: Mapping[str, list[int]], n_batch: int = 8, reach: int = 10**9
    ) -> None:
        self.script = {tuple(Vocabulary.ids(key)): ids for key, ids in script.items()}
        self.n_batch, self.reach = n_batch, reach
        self.sequences: list[ScriptedSequence] = []
        self.passes: list[int] = []

    n_vocab = N_VOCAB
    long_texts: LongTexts | None = None

    @property
    def n_open(self) -> int:
        return sum(not one.closed for one in self.sequences)

    @property
    def n_pages_used(self) -> int:
        held = (page for one in self.sequences if not one.closed for page in one.pages)
        return len(set(held))

    n_pages_free = text_bytes = 0

    def close(self) -> None:
        pass

    def new_sequence(self) -> ScriptedSequence:
        return ScriptedSequence(self)

    def forward(
        self,
        batch: Batch,
        logits: NDArray[np.float32] | None = None,
        go_on: GoOn | None = None,
    ) -> NDArray[np.float32]:
        found = self._run(batch, logits)
        for _ in range(1, self.most_passes):
            tokens = go_on() if go_on is not None else None
            if tokens is None:
                break
            rows = zip(tokens, batch.sequences, strict=True)
            following = Batch.join(([token], one, "last") for token, one in rows)
            found = self._run(following, logits)
        return found

    def _run(
        self, batch: Batch, logits: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        assert 0 < len(batch.tokens) <= self.n_batch
        self.passes.append(len(batch.tokens))
        after: list[int] = []
        for token, position, sequence in zip(
            batch.tokens, batch.positions, batch.sequences, strict=True
        ):
            assert isinstance(sequence, ScriptedSequence)
            assert not sequence.closed
            assert position == len(sequence.held)
            sequence.held.append(int(token))
            after.append(self._next(sequence.held))
        result: NDArray[np.float32] = _SURE[np.array(after)[batch.wanted]]
        if logits is None:
            return result
        logits[:] = result
        return logits

    def embed(self, texts: TextBatch, pooling: Pooling) -> NDArray[np.float32]:
        """Return the first and the last token of each text, and its length."""
        self.passes.append(len(texts.tokens))
        each = np.split(texts.tokens, np.cumsum(texts.lengths)[:-1])
        rows = [[text[0], text[-1], len(text)] for text in each]
        return np.array(rows, np.float32)

    def _next(self, held: list[int]) -> int:
        for prompt, answer in self.script.items():
            if tuple(held[: len(prompt)]) == prompt:
                n = len(held) - len(prompt)
                return answer[n] if n < len(answer) else EOG
        return EOG


def request(
    prompt: str,
    vocabulary: Vocabulary | None = None,
    n_ctx: int = 1000,
    params: SamplingParams | None = None,
    token_bytes_override: Mapping[int, bytes] | None = None,
    make_room: MakeRoom | None = None,
    cancel: CancelToken | None = None,
    make_drafter: MakeDrafter | None = None,
    **options: object,
) -> Request[Complete]:
    params = params or SamplingParams(temperature=0, **options)  # type: ignore[arg-type]
    goal = Complete(
        Context(Vocabulary.ids(prompt), n_ctx),
        params,
        vocabulary or Vocabulary(),  # type: ignore[arg-type]
        token_bytes_override=token_bytes_override,
        make_room=make_room,
        make_drafter=make_drafter,
    )
    return Request(goal, cancel=cancel)


def add(scheduler: Scheduler, *requests: Request[Any]) -> None:
    """Give `scheduler` requests, whose events nobody takes."""
    for one in requests:
        one.submit(ThreadMailbox())
    scheduler.add(requests)


def complete(
    executor: ScriptedExecutor, *requests: Request[Complete], cache_bytes: int = 0
) -> list[Completion]:
    worker = Worker(executor, cache_bytes)
    gather(worker, requests)
    worker.close()
    assert executor.n_open == 0
    return [completion(one) for one in requests]
