"""A model's calls about texts: how they go on."""

from __future__ import annotations

from functools import partial
from typing import Any, Unpack, overload

from llamacy.arguments import checks_options
from llamacy.generation import calls
from llamacy.generation.calls import CallOptions, Prompts
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.engine import Prompt, arranged, listed
from llamacy.generation.gather import OnProgress
from llamacy.generation.streams import AsyncStream, Stream
from llamacy.model.opened import Opened
from llamacy.results import Completion
from llamacy.sampling import SamplingOptions, SamplingParams


class Texts(Opened):
    """The part of a `Model` that continues texts."""

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

    @checks_options(SamplingOptions)
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
        """Continue a prompt, or several together, and return when all have ended.

        Give many prompts in one call: they share each forward pass, which reads the
        weights once for all of them, and what they have in common at the beginning is
        read once. To show a text while it is written, use `stream`; to be answered by a
        model that was tuned for it, use `chat`.

        Parameters
        ----------
        prompt : str, sequence of int, or a list of either
            A text or its token ids; or several, with a result for each in the same
            order.
        params : SamplingParams, optional
            How to choose tokens, and when to end. The defaults are llama.cpp's: chance
            at temperature 0.8, and no limit but the context's end, so set `max_tokens`
            for a model that may not stop.
        n : int, optional
            Return a list of `n` different samples for each prompt.
        cancel : CancelToken, optional
            Anything with ``is_set()``, such as a ``threading.Event``: set by another
            thread it ends the texts, as ``"cancelled"``, after the pass at hand.
        progress : callable, optional
            Called in this thread with the share of the prompts that has been read, up
            to 1.0.
        **options : SamplingOptions
            Fields of `SamplingParams` one by one; they override `params`.

        Returns
        -------
        Completion, or a list
            One for one prompt, a list for several or for `n`, lists of `n` for both.

        Raises
        ------
        ContextLengthError
            A prompt has more than `n_ctx` tokens.
        ArgumentError
            An empty prompt, an id outside the vocabulary, an invalid option.
        ClosedError
            The model is closed, or was while it generated.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> model.generate("The capital of France is", temperature=0).text
        ' Paris'
        >>> both = model.generate(["They all lived happily", "Once"], max_tokens=3)
        >>> [one.finish_reason for one in both]
        ['length', 'length']
        """
        engine = self.engine
        checked = engine.params(params, options)
        make = partial(engine.requests, listed(prompt), checked, n, cancel)
        return arranged(calls.complete(engine, make, progress), prompt, n)

    @checks_options(SamplingOptions)
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

        Parameters and errors are those of `generate`, for one prompt, and are checked
        at once. Leave a ``with`` block around the stream, or `close` it, to end the
        text early and free its memory.

        Returns
        -------
        Stream
            An iterator of `Piece`, generated a few pieces ahead. After the last one its
            `completion` holds the whole result.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> with model.stream("The capital of France is", temperature=0) as stream:
        ...     for piece in stream:
        ...         print(piece.text, end="")
         Paris
        >>> stream.completion.finish_reason
        'stop'
        """
        engine = self.engine
        checked = engine.params(params, options)
        make = partial(engine.requests, [prompt], checked, None, cancel)
        return calls.stream(engine, make, progress)

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

    @checks_options(SamplingOptions)
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
        """Continue a prompt, or several together, without blocking the event loop.

        Parameters, result and errors are those of `generate`. Texts of all tasks and
        threads share each forward pass. Cancelling the task ends its texts after the
        pass at hand.

        Examples
        --------
        >>> async def capitals(*countries):
        ...     prompts = [f"The capital of {name} is" for name in countries]
        ...     done = await model.agenerate(prompts, temperature=0)
        ...     return [one.text.strip() for one in done]
        >>> model = llamacy.load("demo")
        >>> asyncio.run(capitals("France", "Italy"))
        ['Paris', 'Rome']
        """
        engine = self.engine
        checked = engine.params(params, options)
        make = partial(engine.requests, listed(prompt), checked, n, cancel)
        return arranged(await calls.complete_async(engine, make, progress), prompt, n)

    @checks_options(SamplingOptions)
    def astream(
        self,
        prompt: Prompt,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        **options: Unpack[SamplingOptions],
    ) -> AsyncStream:
        """Continue a prompt, piece by piece, without blocking the event loop.

        Parameters and errors are those of `stream`. Options are checked at once; the
        prompt is tokenized and checked on another thread when the stream starts: by
        `start`, at the beginning of an ``async with`` block, or with the first piece.

        Returns
        -------
        AsyncStream
            An asynchronous iterator of `Piece`.

        Examples
        --------
        >>> async def tell(prompt):
        ...     async with model.astream(prompt, temperature=0) as stream:
        ...         return [piece.text async for piece in stream]
        >>> model = llamacy.load("demo")
        >>> asyncio.run(tell("They all lived happily"))
        [' ever', ' after', '.']
        """
        engine = self.engine
        checked = engine.params(params, options)
        make = partial(engine.requests, [prompt], checked, None, cancel)
        return calls.stream_async(engine, make, progress)
