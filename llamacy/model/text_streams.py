"""A model's calls about texts piece by piece."""

from __future__ import annotations

from functools import partial
from typing import Unpack

from llamacy.arguments import checks_options
from llamacy.generation import calls
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.prompts import Prompt
from llamacy.generation.streams import AsyncStream, Stream
from llamacy.generation.tally import OnProgress
from llamacy.model.opened import Opened
from llamacy.sampling import SamplingOptions, SamplingParams


class TextStreams(Opened):
    """The part of a `Model` that continues texts piece by piece."""

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
        at once; `progress` is called with the share of the prompt that has been read.
        Leave a ``with`` block around the stream, or `close` it, to end the text early
        and free its memory.

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
        make = partial(engine.requests, prompt, checked, 1, cancel)
        return calls.stream(engine, make, progress)

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
        make = partial(engine.requests, prompt, checked, 1, cancel)
        return calls.stream_async(engine, make, progress)
