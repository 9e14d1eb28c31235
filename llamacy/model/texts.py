"""A model's calls about texts: how they go on."""

from __future__ import annotations

from typing import Any, TypeAlias, Unpack, overload

from llamacy.arguments import checks_options
from llamacy.errors import LlamacyError
from llamacy.generation import calls
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.each import Each
from llamacy.generation.options import (
    SamplesOptions,
    SamplesOrErrorOptions,
    TextOptions,
    TextOrErrorOptions,
)
from llamacy.generation.prompts import PROMPTS, Prompt, Prompts, given, given_several
from llamacy.generation.tally import OnProgress
from llamacy.model.text_streams import TextStreams
from llamacy.results import Completion
from llamacy.sampling import SamplingOptions, SamplingParams

Params: TypeAlias = "SamplingParams | None"


class Texts(TextStreams):
    """The part of a `Model` that continues texts."""

    @overload
    def generate(  # type: ignore[overload-overlap]
        self, prompt: Prompt, params: Params = None, **options: Unpack[TextOptions]
    ) -> Completion: ...

    @overload
    def generate(  # type: ignore[overload-overlap]
        self, prompt: Prompt, params: Params = None, **options: Unpack[SamplesOptions]
    ) -> list[Completion]: ...

    @overload
    def generate(  # type: ignore[overload-overlap]
        self,
        prompt: Prompt,
        params: Params = None,
        **options: Unpack[TextOrErrorOptions],
    ) -> Completion | LlamacyError: ...

    @overload
    def generate(  # type: ignore[overload-overlap]
        self,
        prompt: Prompt,
        params: Params = None,
        **options: Unpack[SamplesOrErrorOptions],
    ) -> list[Completion] | LlamacyError: ...

    @overload
    def generate(
        self, prompt: Prompts, params: Params = None, **options: Unpack[TextOptions]
    ) -> list[Completion]: ...

    @overload
    def generate(
        self, prompt: Prompts, params: Params = None, **options: Unpack[SamplesOptions]
    ) -> list[list[Completion]]: ...

    @overload
    def generate(
        self,
        prompt: Prompts,
        params: Params = None,
        **options: Unpack[TextOrErrorOptions],
    ) -> list[Completion | LlamacyError]: ...

    @overload
    def generate(
        self,
        prompt: Prompts,
        params: Params = None,
        **options: Unpack[SamplesOrErrorOptions],
    ) -> list[list[Completion] | LlamacyError]: ...

    @checks_options(SamplingOptions)
    def generate(
        self,
        prompt: Any,
        params: SamplingParams | None = None,
        *,
        n: int | None = None,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        on_error: str = "raise",
        **options: Unpack[SamplingOptions],
    ) -> Any:
        """Continue a prompt, or several together, and return when all have ended.

        Give many prompts in one call: they share each forward pass, which reads the
        weights once for all of them, and what they have in common at the beginning is
        read once. To show a text while it is written, use `stream`; to have each of
        many results as soon as it is there, `generate_each`; to be answered by a model
        that was tuned for it, `chat`.

        Parameters
        ----------
        prompt : str, sequence of int, or an iterable of either
            A text or its token ids; or several, with a result for each in the same
            order: a list, a generator, a NumPy array of strings or of rows of ids, a
            column of a pandas data frame ...
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
            Called in this thread with the share of the work that is done, reading and
            generating, up to 1.0. Each text counts alike, by its tokens so far, of the
            most that it may have; so set `max_tokens`.
        on_error : {"raise", "return"}, default "raise"
            Whether a prompt that fails ends the call: its error is raised, and has the
            prompt's `index`; or its error, a `LlamacyError`, is returned in the place
            of its result, and the others go on.
        **options : SamplingOptions
            Fields of `SamplingParams` one by one; they override `params`.

        Returns
        -------
        Completion, or a list
            One for one prompt, a list for several or for `n`, lists of `n` for both;
            and none of nothing: an empty list for an empty one.

        Raises
        ------
        ContextLengthError
            A prompt has more than `n_ctx` tokens.
        ArgumentError
            An empty prompt, an id outside the vocabulary, an invalid option.
        ClosedError
            The model is closed, or was while it generated.
        Interrupted
            Ctrl-C. Its `completion` is the result so far.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> model.generate("The capital of France is", temperature=0).text
        ' Paris'
        >>> both = model.generate(["They all lived happily", "Once"], max_tokens=3)
        >>> [one.finish_reason for one in both]
        ['length', 'length']
        >>> both = model.generate(["Once", [-1]], max_tokens=3, on_error="return")
        >>> print(both[1])
        prompts[1]: wanted token ids from 0 to 2559, found -1
        """
        engine = self.engine
        checked = engine.params(params, options)
        prompts = given(prompt, PROMPTS)
        jobs = calls.text_jobs(engine, prompts, checked, n, cancel, on_error)
        return calls.run(engine, jobs, progress)

    @overload
    def generate_each(
        self, prompts: Prompts, params: Params = None, **options: Unpack[TextOptions]
    ) -> Each[Completion]: ...

    @overload
    def generate_each(
        self,
        prompts: Prompts,
        params: Params = None,
        **options: Unpack[TextOrErrorOptions],
    ) -> Each[Completion | LlamacyError]: ...

    @checks_options(SamplingOptions)
    def generate_each(
        self,
        prompts: Any,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        on_error: str = "raise",
        **options: Unpack[SamplingOptions],
    ) -> Any:
        """Continue any number of prompts, and yield each text as soon as it has ended.

        Prompts are taken from their iterable as earlier ones end, a few more than are
        generated together, so that a million of them need no memory. Parameters and
        errors are those of `generate`, with these differences.

        Parameters
        ----------
        prompts : iterable of str, or of sequences of int
            Texts or their token ids. The iterable is read by the thread that asks for
            the results; a bad prompt is found only when its turn has come.
        cancel : CancelToken, optional
            Once it is set, texts end as ``"cancelled"``, and no more prompts are taken.
        progress : callable, optional
            Called with the share of the prompts that is done, if `prompts` has a
            length; otherwise with 1.0 at the end.

        Returns
        -------
        iterator of Finished
            Index and result of each prompt, in the order in which the texts end. Leave
            a ``with`` block around it, or `close` it, to end the rest early. An error
            and Ctrl-C close it.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> prompts = (f"The capital of {name} is" for name in ["France", "Italy"])
        >>> with model.generate_each(prompts, temperature=0) as each:
        ...     sorted((index, text.text) for index, text in each)
        [(0, ' Paris'), (1, ' Rome')]
        """
        engine = self.engine
        checked = engine.params(params, options)
        several = given_several(prompts, PROMPTS)
        jobs = calls.text_jobs(engine, several, checked, None, cancel, on_error)
        return Each(engine.worker, jobs, cancel, progress)

    @overload
    async def agenerate(  # type: ignore[overload-overlap]
        self, prompt: Prompt, params: Params = None, **options: Unpack[TextOptions]
    ) -> Completion: ...

    @overload
    async def agenerate(  # type: ignore[overload-overlap]
        self, prompt: Prompt, params: Params = None, **options: Unpack[SamplesOptions]
    ) -> list[Completion]: ...

    @overload
    async def agenerate(  # type: ignore[overload-overlap]
        self,
        prompt: Prompt,
        params: Params = None,
        **options: Unpack[TextOrErrorOptions],
    ) -> Completion | LlamacyError: ...

    @overload
    async def agenerate(  # type: ignore[overload-overlap]
        self,
        prompt: Prompt,
        params: Params = None,
        **options: Unpack[SamplesOrErrorOptions],
    ) -> list[Completion] | LlamacyError: ...

    @overload
    async def agenerate(
        self, prompt: Prompts, params: Params = None, **options: Unpack[TextOptions]
    ) -> list[Completion]: ...

    @overload
    async def agenerate(
        self, prompt: Prompts, params: Params = None, **options: Unpack[SamplesOptions]
    ) -> list[list[Completion]]: ...

    @overload
    async def agenerate(
        self,
        prompt: Prompts,
        params: Params = None,
        **options: Unpack[TextOrErrorOptions],
    ) -> list[Completion | LlamacyError]: ...

    @overload
    async def agenerate(
        self,
        prompt: Prompts,
        params: Params = None,
        **options: Unpack[SamplesOrErrorOptions],
    ) -> list[list[Completion] | LlamacyError]: ...

    @checks_options(SamplingOptions)
    async def agenerate(
        self,
        prompt: Any,
        params: SamplingParams | None = None,
        *,
        n: int | None = None,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        on_error: str = "raise",
        **options: Unpack[SamplingOptions],
    ) -> Any:
        """Continue a prompt, or several together, without blocking the event loop.

        Parameters, result and errors are those of `generate`. Texts of all tasks and
        threads share each forward pass. Cancelling the task ends its texts after the
        pass at hand.

        For results as they come, make a task of each prompt, and let
        ``asyncio.as_completed`` order them.

        Examples
        --------
        >>> async def capitals(*countries):
        ...     prompts = [f"The capital of {name} is" for name in countries]
        ...     done = await model.agenerate(prompts, temperature=0)
        ...     return [one.text.strip() for one in done]
        >>> model = llamacy.load("demo")
        >>> asyncio.run(capitals("France", "Italy"))
        ['Paris', 'Rome']
        >>> async def numbered(index, prompt):
        ...     return index, await model.agenerate(prompt, temperature=0)
        >>> async def as_they_come(prompts):
        ...     tasks = [numbered(*one) for one in enumerate(prompts)]
        ...     return [(await one)[0] for one in asyncio.as_completed(tasks)]
        >>> sorted(asyncio.run(as_they_come(["They all lived happily", "2 + 2 ="])))
        [0, 1]
        """
        engine = self.engine
        checked = engine.params(params, options)
        prompts = given(prompt, PROMPTS)
        jobs = calls.text_jobs(engine, prompts, checked, n, cancel, on_error)
        return await calls.run_async(engine, jobs, progress)
