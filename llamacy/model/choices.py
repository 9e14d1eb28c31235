"""A model's calls that choose among labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeAlias, Unpack, overload

from llamacy.arguments import checks_options, short
from llamacy.chat.calls import Question
from llamacy.chat.formats import TemplateSource
from llamacy.chat.prompt import PromptMaker, PromptOptions
from llamacy.errors import ArgumentError
from llamacy.generation import calls
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.choices import Ballot, Normalize
from llamacy.generation.jobs import Job, Jobs
from llamacy.generation.prompts import PROMPTS, Prompt, Prompts, given
from llamacy.generation.tally import OnProgress
from llamacy.model.opened import Opened
from llamacy.results import Choice

Conversation: TypeAlias = "Sequence[Mapping[str, Any]]"
"""A list of messages, which `chat` would answer."""


class LabelChoices(Opened):
    """The part of a `Model` that chooses among labels."""

    _template_source: TemplateSource

    @overload
    def choose(  # type: ignore[overload-overlap]
        self,
        prompt: Prompt | Conversation,
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> Choice: ...

    @overload
    def choose(
        self,
        prompt: Prompts | Sequence[Conversation],
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> list[Choice]: ...

    @checks_options(PromptOptions)
    def choose(
        self,
        prompt: Any,
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> Any:
        """Choose the likeliest of several labels as the continuation of a prompt.

        Classify texts, answer yes or no, pick one of a list: nothing is generated, the
        result is always one of the labels, and has probabilities. All labels share the
        prompt, which is read once; where each is one token, one pass is all.

        Parameters
        ----------
        prompt : str, sequence of int, list of dict, or an iterable of these
            A text or its token ids, which a label is to continue. Or a conversation as
            for `chat`, which a label is to answer. Or several prompts, with a result
            for each.
        labels : iterable of str
            Different texts. It does not matter whether a label has a space before it:
            the probabilities with and without one add up.
        cancel, progress : optional
            As for `generate`.
        normalize : {"sum", "mean"}, default "sum"
            ``"sum"`` compares the probabilities of whole labels, which suits labels
            that are all likely words. ``"mean"`` compares the mean of the
            log-probabilities of their tokens, where long labels should not lose for
            their length.
        **options : PromptOptions
            `chat_format`, `tools`, `template_arguments` and so on, as for `chat`, for
            conversations. A model that reasons before it answers should not do so here:
            ``template_arguments={"enable_thinking": False}``.

        Returns
        -------
        Choice, or a list of them
            The likeliest label, and the probabilities of all.

        Raises
        ------
        ArgumentError
            No labels, an empty one, one given twice, a bad prompt.
        ContextLengthError
            A prompt and a label have more than `n_ctx` tokens.
        ChatTemplateError
            A conversation, and the model has no template.
        CancelledError
            `cancel` was set.

        Notes
        -----
        Where one label begins another, such as "New" and "New York", the shorter one
        has the probability that the text goes on with it and not with the longer one.

        Labels are tokenized together with the end of a text, as the text and a label
        would be as one; after ids and conversations, by themselves.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> model.choose("The capital of France is", ["Rome", "Paris"]).label
        'Paris'
        >>> messages = [{"role": "user", "content": "What is 12 + 30?"}]
        >>> model.choose(messages, ["40", "41", "42"]).probabilities["42"] > 0.9
        True
        """
        engine = self.engine
        ballot = Ballot(engine, labels, normalize, cancel)
        return calls.measure(engine, self._jobs(ballot, prompt, options), progress)

    @overload
    async def achoose(  # type: ignore[overload-overlap]
        self,
        prompt: Prompt | Conversation,
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> Choice: ...

    @overload
    async def achoose(
        self,
        prompt: Prompts | Sequence[Conversation],
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> list[Choice]: ...

    @checks_options(PromptOptions)
    async def achoose(
        self,
        prompt: Any,
        labels: Iterable[str],
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        normalize: Normalize = "sum",
        **options: Unpack[PromptOptions],
    ) -> Any:
        """Choose the likeliest of several labels without blocking the event loop.

        Parameters, result and errors are those of `choose`. Cancelling the task ends
        the call after the pass at hand.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> labels = ["Rome", "Paris"]
        >>> print(asyncio.run(model.achoose("The capital of Italy is", labels)))
        Rome
        """
        engine = self.engine
        ballot = Ballot(engine, labels, normalize, cancel)
        jobs = self._jobs(ballot, prompt, options)
        return await calls.run_async(engine, jobs, progress)

    def _jobs(
        self, ballot: Ballot, prompts: object, options: PromptOptions
    ) -> Jobs[Choice]:
        """Return the jobs that choose for each prompt, text or conversation."""

        @cache
        def maker() -> PromptMaker:
            return Question("", None, options).maker(self.engine, self._template_source)

        def make(prompt: Any, name: str) -> Job[Choice]:
            if _is_conversation(prompt):
                return ballot.job(maker().make(prompt).ids, name)
            if options:
                raise ArgumentError(
                    f"{', '.join(options)}: wanted messages, found {short(prompt)}"
                )
            return ballot.job(prompt, name)

        return Jobs(given(prompts, _PROMPTS), lambda: make)


def _is_conversation(prompt: object) -> bool:
    """Whether a prompt is a list of messages."""
    return isinstance(prompt, list | tuple) and any(
        isinstance(message, Mapping) for message in prompt
    )


def _is_one(items: Sequence[Any]) -> bool:
    return PROMPTS.is_one(items) or _is_conversation(items)


_PROMPTS = PROMPTS._replace(
    wanted="text, token ids or a list of messages", is_one=_is_one
)
"""Prompts that may be conversations, too."""
