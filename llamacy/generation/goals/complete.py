"""The goal of a request for a text that goes on after a prompt."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from llamacy.generation.choosing import Chooser
from llamacy.generation.context import Context
from llamacy.generation.drafting.drafter import Drafter, MakeDrafter
from llamacy.generation.goals.goal import Goal
from llamacy.generation.goals.prompt_scores import PromptScores
from llamacy.generation.output import Output
from llamacy.generation.prefix_cache import common_prefix
from llamacy.generation.rows import Rows
from llamacy.generation.stages import Stage
from llamacy.generation.text_buffer import StopScope
from llamacy.results import FinishReason, Piece, TokenLogprob
from llamacy.sampling import SamplingParams

if TYPE_CHECKING:
    from llamacy.sampling.constraint import Constraint
    from llamacy.structured.form import Form
    from llamacy.tokenizers.base import Tokenizer

MakeRoom = Callable[[list[int]], list[int] | None]
"""Called with the tokens generated so far when they fill the context.

Returns fewer tokens than the context holds, to go on after; None ends the text.
"""


class Complete(Goal):
    """Generate a text, token by token.

    Parameters
    ----------
    context : Context
        The prompt, which grows by the text.
    params : SamplingParams
        How to choose tokens, and when to end.
    tokenizer : Tokenizer, optional
        Turns tokens into bytes and knows the end of a text; without one the text stays
        empty.
    seed_offset : int, default 0
        Tells the samples of one prompt apart.
    token_bytes_override : mapping of int to bytes, optional
        Bytes of tokens that stand for other ones than the tokenizer says.
    stop_scope : StopScope, optional
        The parts of the text that stop strings may end; by default all.
    make_room : MakeRoom, optional
        Asked for room in a full context; without it the text ends there.
    constraint : Constraint, optional
        Says which tokens may follow, and is this text's alone. Where it leaves no
        choice, tokens are not chosen, and read together.
    form : Form, optional
        The form of the whole text, if its value is asked for.
    make_drafter : MakeDrafter, optional
        Makes the drafter of the text; without it nothing is drafted.

    Attributes
    ----------
    output : Output
        The text so far.
    finish_reason : FinishReason or None
        Why the text ends; None while that is not known.
    form : Form or None
        The form of the whole text, if its value is asked for.
    """

    def __init__(
        self,
        context: Context,
        params: SamplingParams,
        tokenizer: Tokenizer | None,
        *,
        seed_offset: int = 0,
        token_bytes_override: Mapping[int, bytes] | None = None,
        stop_scope: StopScope | None = None,
        make_room: MakeRoom | None = None,
        constraint: Constraint | None = None,
        form: Form | None = None,
        make_drafter: MakeDrafter | None = None,
    ) -> None:
        super().__init__(context)
        self.output = Output(params, tokenizer, token_bytes_override, stop_scope)
        self.form = form
        self._chooser = Chooser(context.ids, params, tokenizer, seed_offset, constraint)
        self._make_room = make_room
        self._make_drafter = make_drafter
        self._drafter: Drafter | None = None  # until the text grows
        self._n_draftable = 0  # tokens that the drafter was asked for
        self._foreseen: list[int] = []  # tokens of the next draft, under a constraint
        self._draft: list[int] = []  # tokens of the pass that runs
        self._pieces: deque[Piece] = deque()
        self._max_tokens = _most_tokens(context, params, can_refill=bool(make_room))
        if params.max_tokens is not None:  # the last token is not read
            context.expect(context.n_prompt + params.max_tokens - 1)
        self.finish_reason: FinishReason | None = None
        if self._max_tokens == 0:
            self.finish_reason = "length"
        self._scores: PromptScores | None = None
        if params.prompt_logprobs is not None:
            self._scores = PromptScores(context, params.prompt_logprobs, tokenizer)

    @property
    def prompt_logprobs(self) -> list[TokenLogprob | None] | None:
        """Likelihoods of the prompt's tokens so far, if they are asked for."""
        return self._scores.logprobs if self._scores is not None else None

    @property
    def n_shareable(self) -> int:
        """All tokens, unless the prompt's likelihoods are asked for."""
        return self.n_to_read if self._scores is None else 0

    @property
    def n_to_read(self) -> int:
        """All tokens; where nothing is generated, only those that are to be scored."""
        if self._max_tokens:
            return len(self.context.ids)
        return self.context.n_prompt - 1 if self._scores is not None else 0

    @property
    def n_to_choose(self) -> int:
        """As many as `max_tokens`, or as the context has room for."""
        return min(self._max_tokens, self.context.n_ctx)

    def begin_draft(self, most: int) -> None:
        """Draft up to `most` tokens, as many as the text may have before its last."""
        if self._make_drafter is None:
            return
        if self._drafter is None:
            self._drafter = self._make_drafter(self.context.ids)
        n_left = self._max_tokens - len(self.output.tokens)
        most = min(most, n_left - 1, self.context.n_ctx - len(self.context.ids) - 1)
        self._n_draftable = max(0, most)
        if most > 0:
            assert self.context.sequence is not None
            self._drafter.begin(most, self.context.sequence)

    def chances(self) -> Sequence[float]:
        """Return how likely 1, 2 ... of the drafted tokens are right."""
        if self._drafter is None or not self._n_draftable:
            return ()
        chances = self._drafter.chances()
        if not chances or not self._chooser.is_constrained:
            return chances
        draft = self._proposed(len(chances))
        n, forced = self._chooser.foresee(draft)
        self._foreseen = [*draft[:n], *forced][: self._n_draftable]
        # tokens that must follow are as likely as the last one that was drafted
        sure = [chances[n - 1]] * len(forced)
        return [*chances[:n], *sure][: self._n_draftable]

    def next_rows(self, n_rows: int, n_scored: int) -> Rows:
        """Return rows: the last token's is wanted, or all rows of a scored prompt.

        A draft's rows are wanted as well: each says which token is chosen after it.
        """
        end = self.n_to_read
        n_unread = end - self.context.n_past
        n_drafted, self._n_draftable = min(n_rows - n_unread, self._n_draftable), 0
        self._draft = self._draft_of(n_drafted) if n_drafted > 0 else []
        if self.n_chosen:
            self._chooser.prepare()
        if self._draft:
            rows = self.context.rows(n_unread, end, 1 + len(self._draft))
            return rows._replace(tokens=[*rows.tokens, *self._draft])
        if self._scores is not None and not self.n_chosen:
            return self.context.rows(min(n_rows, n_scored), end, "all")
        is_last = self.context.n_past + n_rows >= end
        return self.context.rows(n_rows, end, "last" if is_last else "none")

    def take(self, logits: NDArray[np.float32]) -> Stage:
        """Score the prompt's tokens; after its last one, choose the next token."""
        if self._scores is not None and not self.n_chosen:
            self._scores.add(logits)
        if self.context.n_past < self.n_to_read:
            return Stage.READING
        if self.finish_reason is None:
            self._grow_by(logits[-1 - len(self._draft) :])
        return self.next_stage

    def grow(self, logits: NDArray[np.float32]) -> list[int]:
        """Choose the next token by `logits`, float32 (n_vocab,).

        Returns
        -------
        list of int
            The token, and those that must follow it: all were appended, but for one
            that ends the text.
        """
        tokens = [self._chooser.choose(logits)]
        self.n_chosen += 1
        if self._chooser.ends_text(tokens[0]):
            self.finish_reason = "stop"
        else:
            self._append(tokens[0])
            tokens += self._append_forced()
        if self.finish_reason is not None:
            self.output.flush()
        if self.output.is_stopped:
            self.finish_reason = "stop"
        if self.finish_reason is None:
            self.context.lengthen()
        return tokens

    def _append_forced(self) -> list[int]:
        """Append the tokens that must follow; end the text where nothing may."""
        forced = [] if self._has_ended else self._chooser.forced()
        for n, token in enumerate(forced, 1):
            self.n_chosen += 1
            self._append(token)
            if self._has_ended and n < len(forced):
                return forced[:n]
        if self._chooser.is_over:
            self.finish_reason = "stop"
        return forced

    @property
    def _has_ended(self) -> bool:
        return self.finish_reason is not None or self.output.is_stopped

    @property
    def next_stage(self) -> Stage:
        """The stage after a token was chosen: reading where room was made for more."""
        if self.finish_reason is not None:
            return Stage.ENDED
        if not self.is_decoding:  # even if a single token is left to be read
            return Stage.READING
        is_last = self.context.n_past == len(self.context.ids) - 1
        return Stage.GROWING if is_last else Stage.READING

    def release(self) -> None:
        """Let go of the drafter; nothing more is drafted."""
        self._drafter = self._make_drafter = None

    def cancel(self) -> None:
        """End the text where it is."""
        self.finish_reason = "cancelled"
        self.output.flush()

    def piece(self) -> Piece | None:
        """Return the text that has become sure since the last piece.

        Each token of a draft makes a piece of its own, as if it had not been drafted.
        """
        return self._pieces.popleft() if self._pieces else self.output.piece()

    def _draft_of(self, n: int) -> list[int]:
        """Return at most `n` drafted tokens, none of which would end the text."""
        if self._chooser.is_constrained:
            return self._foreseen[:n]
        return self._proposed(n)

    def _proposed(self, n: int) -> list[int]:
        """Return at most `n` proposed tokens, up to one that would end the text."""
        assert self._drafter is not None
        draft = self._drafter.propose(n)
        return [*takewhile(lambda token: not self._chooser.ends_text(token), draft)]

    def _grow_by(self, logits: NDArray[np.float32]) -> None:
        """Choose a token by each row of logits, as long as the draft has the same.

        The rows that were drafted after it are given back. Tokens that must follow a
        chosen one need no rows, but the draft's are used where it has the same.

        Parameters
        ----------
        logits : float32, (n_drafted + 1, n_vocab)
            After the last token, and after each drafted one.
        """
        draft, self._draft = self._draft, []
        n_past = self.context.n_past - len(draft)
        self.n_drafted += len(draft)
        n_agreed = 0
        try:
            while True:
                tokens = self.grow(logits[n_agreed])
                self.is_decoding = self.context.n_past >= n_past  # not to be read again
                if self.finish_reason is not None or not self.is_decoding:
                    break
                n_same = common_prefix(tokens, draft[n_agreed:])
                n_agreed += n_same
                n_past += n_same
                if n_same < len(tokens):
                    break
                if piece := self.output.piece():
                    self._pieces.append(piece)
        finally:
            self.n_accepted += n_agreed
            self.context.truncate(n_past)

    def _append(self, token: int) -> None:
        self.context.ids.append(token)
        self.output.push(token, self._chooser.logprob(token))
        if self._drafter is not None:
            self._drafter.accept(token)
        if len(self.output.tokens) == self._max_tokens:
            self.finish_reason = "length"
        elif self.context.is_full and not self.output.is_stopped:
            self._refill()

    def _refill(self) -> None:
        """Go on with fewer tokens than fill the context, or end there."""
        assert self._make_room is not None
        ids = self._make_room(self.output.tokens)
        if ids is None:
            self.finish_reason = "length"
        else:
            self.context.replace(ids)
            if self._drafter is not None:
                self._drafter.replace(ids)


def _most_tokens(context: Context, params: SamplingParams, *, can_refill: bool) -> int:
    """Most tokens to generate, by `params` and by what the context has room for."""
    room = sys.maxsize if can_refill else context.n_ctx - context.n_prompt
    return room if params.max_tokens is None else min(room, params.max_tokens)
