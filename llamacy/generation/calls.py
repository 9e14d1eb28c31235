"""A model's calls about texts: how they go on, and how likely they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TypeAlias, Unpack, overload

from llamacy.generation.cancelling import CancelToken
from llamacy.generation.completions import completion
from llamacy.generation.engine import Engine, Prompt, arranged, listed
from llamacy.generation.gather import (
    OnProgress,
    gather,
    gather_async,
    made_in_thread,
)
from llamacy.generation.goals.complete import Complete
from llamacy.generation.request import Request
from llamacy.generation.streams import AsyncStream, Stream
from llamacy.results import Completion, Score
from llamacy.sampling import SamplingOptions, SamplingParams

Prompts: TypeAlias = "list[str] | list[list[int]] | tuple[str, ...]"
"""Several of them."""


class CallOptions(SamplingOptions, total=False):
    """Sampling options, and what concerns one call only."""

    cancel: CancelToken | None
    progress: OnProgress | None


class Texts(ABC):
    """What a model does with texts; a base of a model's class.

    Parameters
    ----------
    engine : makes requests of prompts, and runs them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @abstractmethod
    def _check_open(self) -> None:
        """Raise ClosedError once it is closed."""

    @overload
    def generate(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        n: None = None,
        **options: Unpack[CallOptions],
    ) -> Completion: ...

    @overload
    def generate(
        self,
        prompt: Prompts,
        params: SamplingParams | None = None,
        *,
        n: None = None,
        **options: Unpack[CallOptions],
    ) -> list[Completion]: ...

    @overload
    def generate(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        n: int,
        **options: Unpack[CallOptions],
    ) -> list[Completion]: ...

    @overload
    def generate(
        self,
        prompt: Prompts,
        params: SamplingParams | None = None,
        *,
        n: int,
        **options: Unpack[CallOptions],
    ) -> list[list[Completion]]: ...

    def generate(
        self,
        prompt: Any,
        params: SamplingParams | None = None,
        *,
        n: int | None = None,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Any:
        """Continue a prompt, or several together.

        Parameters
        ----------
        prompt : a text or its token ids; or a list of those, which are decoded
            together, with a result for each in the same order.
        params : how to choose tokens and when to end.
        n : give a list of so many different samples of each prompt.
        cancel : anything with ``is_set()``, as a ``threading.Event``: set by another
            thread it ends the text, as ``"cancelled"``, after the pass at hand.
        progress : called in this thread with the share of the prompts that has been
            read, up to 1.0.
        options : the fields of SamplingParams one by one; they go before `params`.

        Raises
        ------
        ContextLengthError : a prompt has more than `n_ctx` tokens.
        ArgumentError : an empty prompt, an id outside the vocabulary, a bad option.
        ClosedError : the model is closed, or was while it generated.

        Examples
        --------
        >>> model.generate("Once upon a time", max_tokens=8).text  # doctest: +SKIP
        ', there was a little girl'
        """
        made = self._engine.params(params, options)
        requests = self._requests(listed(prompt), made, n, cancel)
        gather(self._engine.worker, requests, progress)
        return arranged([completion(one) for one in requests], prompt, n)

    def stream(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Stream:
        """Continue a prompt, piece by piece as it is generated.

        Takes what :meth:`generate` takes, and checks it at once. After the last
        piece the stream's `completion` holds the whole result.

        Examples
        --------
        >>> for piece in model.stream("Once upon a time"):  # doctest: +SKIP
        ...     print(piece.text, end="", flush=True)
        """
        made = self._engine.params(params, options)
        (request,) = self._requests([prompt], made, None, cancel)
        return Stream(self._engine.worker, request, progress)

    @overload
    async def agenerate(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        n: None = None,
        **options: Unpack[CallOptions],
    ) -> Completion: ...

    @overload
    async def agenerate(
        self,
        prompt: Prompts,
        params: SamplingParams | None = None,
        *,
        n: None = None,
        **options: Unpack[CallOptions],
    ) -> list[Completion]: ...

    @overload
    async def agenerate(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        n: int,
        **options: Unpack[CallOptions],
    ) -> list[Completion]: ...

    @overload
    async def agenerate(
        self,
        prompt: Prompts,
        params: SamplingParams | None = None,
        *,
        n: int,
        **options: Unpack[CallOptions],
    ) -> list[list[Completion]]: ...

    async def agenerate(
        self,
        prompt: Any,
        params: SamplingParams | None = None,
        *,
        n: int | None = None,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Any:
        """Do what :meth:`generate` does, without blocking the event loop.

        Cancelling the task ends the generation after the pass at hand.
        """
        made = self._engine.params(params, options)
        requests = await made_in_thread(
            lambda: self._requests(listed(prompt), made, n, cancel)
        )
        await gather_async(self._engine.worker, requests, progress)
        return arranged([completion(one) for one in requests], prompt, n)

    def astream(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> AsyncStream:
        """Do what :meth:`stream` does, without blocking the event loop.

        It begins, and its prompt is checked, by `await stream.start()`, which an
        `async with` block runs, or when the first piece is asked for.

        Examples
        --------
        >>> async for piece in model.astream("Once upon a time"):  # doctest: +SKIP
        ...     print(piece.text, end="", flush=True)
        """
        self._check_open()
        made = self._engine.params(params, options)
        return AsyncStream(
            self._engine.worker,
            lambda: self._requests([prompt], made, None, cancel),
            progress,
        )

    @overload
    def score(self, text: Prompt) -> Score: ...

    @overload
    def score(self, text: Prompts) -> list[Score]: ...

    def score(self, text: Any) -> Any:
        """How likely a text is, or several are, token by token.

        Parameters
        ----------
        text : a text or its token ids, or a list of those, which are read together.

        Raises
        ------
        ContextLengthError : more than `n_ctx` tokens.
        ArgumentError : an empty text, an id outside the vocabulary.
        """
        self._check_open()
        requests = self._engine.score_requests(listed(text))
        gather(self._engine.worker, requests)
        return arranged([one.goal.result for one in requests], text, None)

    def _requests(
        self,
        prompts: Sequence[Any],
        params: SamplingParams,
        n: int | None,
        cancel: CancelToken | None,
    ) -> list[Request[Complete]]:
        self._check_open()
        return self._engine.requests(prompts, params, n, cancel)
