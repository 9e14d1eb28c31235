"""Everything that generating needs of a model: prompts in, requests out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from llamacy.arguments import short
from llamacy.errors import ArgumentError, NotPicklableError
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.context import Context
from llamacy.generation.drafting.drafter import MakeDrafter, TextDrafter
from llamacy.generation.drafting.proposer import Proposer
from llamacy.generation.executor import Executor
from llamacy.generation.goals.complete import Complete, MakeRoom
from llamacy.generation.goals.score import Score
from llamacy.generation.load import Load
from llamacy.generation.prompts import Prompt
from llamacy.generation.reading import NO_ADAPTERS, Reading
from llamacy.generation.request import Request
from llamacy.generation.scheduler import N_ACTIVE
from llamacy.generation.text_buffer import StopScope
from llamacy.generation.worker import Worker
from llamacy.ops.state.sequence import SequenceState
from llamacy.sampling import SamplingOptions, SamplingParams
from llamacy.sampling.constraint import Constraint
from llamacy.system.forks import importing
from llamacy.tokenizers.lazy import LazyTokenizer

if TYPE_CHECKING:
    from llamacy.structured.compiling import Compiler

_TEXTS = (str, bytes, bytearray, memoryview)  # sequences, but not of token ids


class Engine:
    """Makes requests of prompts, checked, for the worker that runs them.

    Parameters
    ----------
    executor : Executor
        Runs the forward passes.
    tokenizer : LazyTokenizer
        The vocabulary, which the model may not have.
    n_ctx : int
        Most tokens of prompt and text together.
    cache_bytes : int
        Most bytes of KV cache and states kept of texts that have ended.
    max_waiting : int, optional
        Most requests that may wait before another call is refused; None refuses none.
    defaults : SamplingParams, optional
        The options of a call that leaves them out; those of `SamplingParams` if None.
    writes : bool, default True
        Whether the model has logits, and so writes texts; an encoder has none.
    drafting : bool, default True
        Whether calls draft whose options leave it open.
    proposer : Proposer, optional
        Drafts what texts do not repeat.
    max_active : int, default 16
        Most requests that run together.

    Attributes
    ----------
    defaults : SamplingParams
        The options of a call that leaves them out.
    make_drafter : MakeDrafter
        Makes the drafters of texts.
    n_vocab : int
        Logits of a token.
    worker : Worker
        Runs the requests.
    """

    def __init__(
        self,
        executor: Executor,
        tokenizer: LazyTokenizer,
        n_ctx: int,
        cache_bytes: int,
        max_waiting: int | None = None,
        defaults: SamplingParams | None = None,
        *,
        writes: bool = True,
        drafting: bool = True,
        proposer: Proposer[Any] | None = None,
        max_active: int = N_ACTIVE,
    ) -> None:
        self.executor = executor
        self._writes = writes
        self.tokenizer = tokenizer
        self.n_ctx = n_ctx
        self.n_vocab = executor.n_vocab
        self.defaults = defaults or SamplingParams()
        self._drafting = drafting
        self._proposer = proposer
        self.make_drafter: MakeDrafter = (
            TextDrafter if proposer is None else proposer.drafter
        )
        self.worker = Worker(executor, cache_bytes, max_waiting, proposer, max_active)

    def __reduce__(self) -> NoReturn:
        raise NotPicklableError(
            "an engine cannot be pickled or copied: send the model, and take the "
            "engine of that"
        )

    def close(self) -> None:
        """End all requests, and let the models go."""
        self.worker.close()
        self.executor.close()
        if self._proposer is not None:
            self._proposer.close()

    def load(self) -> Load:
        """Return how busy the model is: requests active and waiting, and KV pages.

        Any thread may ask; the numbers are as of the end of the last pass, and of the
        requests submitted since.
        """
        return self.worker.load()

    def params(
        self, params: SamplingParams | None, options: SamplingOptions
    ) -> SamplingParams:
        """Return `params`, or else the defaults, with `options` in their place."""
        if params is None:
            params = replace(self.defaults, **options)
        elif isinstance(params, SamplingParams):
            params = replace(params, **options)
        else:
            raise ArgumentError(f"params: wanted SamplingParams, found {short(params)}")
        params.check_vocabulary(self.n_vocab)
        return params

    def prompt_ids(
        self, prompt: Prompt, *, begins: bool = True, name: str = "prompt"
    ) -> list[int]:
        """Return the token ids of a prompt.

        Parameters
        ----------
        prompt : str or sequence of int
            A text or its ids.
        begins : bool, default True
            Whether nothing comes before it.
        name : str, default "prompt"
            The argument's name, for errors.

        Raises
        ------
        ArgumentError
            An empty prompt, or an id outside the vocabulary.
        """
        if isinstance(prompt, str):
            tokenizer = self.tokenizer.get()
            ids = tokenizer.encode(
                prompt, add_bos=None if begins else False, continues=not begins
            )
            # A text that is to go on must not be marked as ended.
            if tokenizer.add_eos and ids[-1:] == [tokenizer.eos_id]:
                ids.pop()
            prompt = ids
        if not (isinstance(prompt, Sequence) or hasattr(prompt, "__array__")):
            raise ArgumentError(
                f"{name}: wanted text or token ids, found {short(prompt)}"
            )
        ids = self.checked_ids(name, prompt)
        if not ids:
            raise ArgumentError(f"{name}: wanted at least one token, found none")
        return ids

    def checked_ids(self, name: str, ids: object) -> list[int]:
        """Return `ids` as a list of ints.

        Raises
        ------
        ArgumentError
            The argument `name` is not a sequence of ids, or has one outside the
            vocabulary.
        """
        if hasattr(ids, "__array__"):
            array = np.asarray(ids)
            ids = array.tolist() if array.ndim == 1 else ids
        if not isinstance(ids, Sequence) or isinstance(ids, _TEXTS):
            raise ArgumentError(f"{name}: wanted token ids, found {short(ids)}")
        n_vocab = self.n_vocab
        for token in ids:
            fits = isinstance(token, Integral) and not isinstance(token, bool)
            if not fits or not 0 <= token < n_vocab:
                raise ArgumentError(
                    f"{name}: wanted token ids from 0 to {n_vocab - 1}, "
                    f"found {short(token)}"
                )
        return [int(token) for token in ids]

    def context(
        self,
        ids: Iterable[int],
        sequence: SequenceState | None = None,
        reading: Reading = NO_ADAPTERS,
    ) -> Context:
        """Make a request's tokens, and the sequence that holds the first of them.

        Raises
        ------
        ContextLengthError
            More than `n_ctx` tokens.
        ArgumentError
            The model is an encoder.
        """
        if not self._writes:
            wanted = "a model that writes texts"
            raise ArgumentError(f"model: wanted {wanted}, found an encoder")
        long_texts = self.executor.long_texts
        tokenizer = self.tokenizer.get_or_none()
        end_ids = frozenset[int]() if tokenizer is None else tokenizer.eog_ids
        return Context(ids, self.n_ctx, sequence, reading, long_texts, end_ids)

    def complete(
        self,
        context: Context,
        params: SamplingParams,
        *,
        seed_offset: int = 0,
        token_bytes_override: Mapping[int, bytes] | None = None,
        stop_scope: StopScope | None = None,
        make_room: MakeRoom | None = None,
        constraint: Constraint | None = None,
    ) -> Complete:
        """Make a goal that completes a context of checked ids: see `Complete`.

        Without a `constraint` the text follows the one that `params` asks for, from its
        first token on.
        """
        form = None
        if constraint is None and (form := params.form) is not None:
            constraint = self.compiler.constraint(form)
        drafts = self._drafting if params.drafting is None else params.drafting
        return Complete(
            context,
            params,
            self.tokenizer.get_or_none(),
            seed_offset=seed_offset,
            token_bytes_override=token_bytes_override,
            stop_scope=stop_scope,
            make_room=make_room,
            constraint=constraint,
            form=form,
            make_drafter=self.make_drafter if drafts else None,
        )

    @property
    def compiler(self) -> Compiler:
        """Makes the constraints of texts.

        Raises
        ------
        MissingPackageError
            llguidance is not installed.
        FormatError
            The model has no usable vocabulary.
        """
        with importing:  # most texts need none
            from llamacy.structured.compiling import compiler_of

        return compiler_of(self.tokenizer.get(), self.n_vocab)

    def request(
        self,
        ids: list[int],
        params: SamplingParams,
        cancel: CancelToken | None = None,
        *,
        token_bytes_override: Mapping[int, bytes] | None = None,
        stop_scope: StopScope | None = None,
        make_room: MakeRoom | None = None,
        constraint: Constraint | None = None,
    ) -> Request[Complete]:
        """Make a request that completes a prompt of checked ids: see `Complete`.

        Raises
        ------
        ContextLengthError
            More than `n_ctx` tokens.
        ArgumentError
            `cancel` does not have `is_set`.
        """
        goal = self.complete(
            self.context(ids),
            params,
            token_bytes_override=token_bytes_override,
            stop_scope=stop_scope,
            make_room=make_room,
            constraint=constraint,
        )
        return Request(goal, cancel=cancel)

    def requests(
        self,
        prompt: Prompt,
        params: SamplingParams,
        n: int = 1,
        cancel: CancelToken | None = None,
        *,
        name: str = "prompt",
    ) -> list[Request[Complete]]:
        """Make `n` requests that complete a prompt, each differently.

        Raises
        ------
        ContextLengthError
            The prompt has more than `n_ctx` tokens.
        ArgumentError
            A bad prompt, which the error calls `name`, or a bad `cancel`.
        """
        ids = self.prompt_ids(prompt, name=name)
        return [
            Request(
                self.complete(self.context(ids), params, seed_offset=sample),
                cancel=cancel,
            )
            for sample in range(n)
        ]

    def score_request(self, text: Prompt, *, name: str = "text") -> Request[Score]:
        """Make a request for the likelihoods of a text's tokens.

        Raises
        ------
        ContextLengthError
            The text has more than `n_ctx` tokens.
        ArgumentError
            An empty text, or an id outside the vocabulary.
        """
        context = self.context(self.prompt_ids(text, name=name))
        return Request(Score(context, self.tokenizer.get_or_none()))
