"""A request for the logits of a chunk's end, and the running of many in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from itertools import islice
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.gather import withdraw
from llamacy.generation.mailbox import Done, ThreadMailbox
from llamacy.generation.request import Request
from llamacy.generation.worker import Worker
from llamacy.ops.batch import Wanted
from llamacy.ops.state.sequence import SequenceState
from llamacy.sampling import SamplingParams

Receive = Callable[[int, NDArray[np.float32]], object]
"""Called with a token's number and the logits after it and those that follow it."""

AnyRequest = TypeVar("AnyRequest", bound=Request)


class ChunkRequest(Request):
    """Reads a chunk of tokens, and hands over the logits after the later ones.

    The chunk is read whatever is in the cache of past texts, and leaves nothing there.

    Parameters
    ----------
    ids : the chunk, two tokens or more.
    n_ctx : most tokens of it.
    first : the first token whose logits are wanted. Those after the last token are
        not: what follows it is not known.
    receive : gets float32, (n, n_vocab), a pass at a time and in order, on the
        worker's thread; the rows are its own to change, until it returns.
    """

    def __init__(self, ids: list[int], n_ctx: int, first: int, receive: Receive):
        # to the scheduler it is a prompt to be scored
        params = SamplingParams(max_tokens=0, prompt_logprobs=0)
        super().__init__(ids, params, n_ctx, None, keeps_sequence=True)
        self._first = first
        self._receive = receive

    @property
    def scores_next(self) -> bool:
        """Whether the logits after the tokens to be read next are wanted."""
        return self.n_read >= self._first

    def next_rows(self, n_rows: int) -> tuple[list[int], SequenceState, Wanted]:
        """At most `n_rows` rows of the next pass: either all wanted or none."""
        if self.scores_next:
            return super().next_rows(n_rows)
        tokens, sequence, _ = super().next_rows(min(n_rows, self._first - self.n_read))
        return tokens, sequence, "none"

    def settle(self) -> None:
        """Give the memory back, and post that all is done."""
        if self.sequence is not None:
            self.sequence.close()
        super().settle()

    def _score_prompt(self, logits: NDArray[np.float32]) -> None:
        if len(logits):
            self._receive(self.n_read - len(logits), logits)


def run_in_turn(
    worker: Worker,
    requests: Iterable[AnyRequest],
    n_together: int,
    on_event: Callable[[], object],
) -> Generator[AnyRequest, None, None]:
    """Run `requests`, at most `n_together` at once, and yield them in their order.

    The first error of one, or Ctrl-C, or leaving the loop early, ends all that run.

    Parameters
    ----------
    on_event : called whenever one has come further.
    """
    mailbox = ThreadMailbox()
    remaining = iter(requests)
    begun: deque[AnyRequest] = deque()  # and not yielded yet
    ended: set[Request] = set()
    try:
        while True:
            n_running = len(begun) - len(ended)
            if fresh := list(islice(remaining, n_together - n_running)):
                begun += fresh
                worker.submit(fresh, mailbox)
            while begun and begun[0] in ended:
                ended.remove(begun[0])
                yield begun.popleft()
            if not begun:
                return
            if (posted := mailbox.take()) is not None:
                sender, event = posted
                if isinstance(event, Done):
                    sender.raise_error()
                    ended.add(sender)
                on_event()
    except BaseException:
        withdraw(worker, begun)
        for request in begun:
            worker.wait(request)
            request.error = None  # as raise_error does
        raise
