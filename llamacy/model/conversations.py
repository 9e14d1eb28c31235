"""A model's calls about conversations: the answer to the last message."""

from __future__ import annotations

from typing import Any, TypeAlias, Unpack, overload

from llamacy.arguments import checks_options
from llamacy.chat import calls
from llamacy.chat.calls import (
    AnswerOptions,
    AnswerOrErrorOptions,
    ChatOptions,
    Question,
    Several,
)
from llamacy.chat.messages import Messages
from llamacy.chat.prompt import PromptOptions
from llamacy.chat.results import ChatCompletion
from llamacy.errors import LlamacyError
from llamacy.generation.calls import run, run_async
from llamacy.generation.cancelling import CancelToken
from llamacy.generation.each import Each
from llamacy.generation.prompts import given_several
from llamacy.generation.tally import OnProgress
from llamacy.model.conversation_streams import ConversationStreams
from llamacy.sampling import SamplingParams

Params: TypeAlias = "SamplingParams | None"


class Conversations(ConversationStreams):
    """The part of a `Model` that answers messages."""

    @overload
    def chat(  # type: ignore[overload-overlap]
        self,
        messages: Messages,
        params: Params = None,
        **options: Unpack[AnswerOptions],
    ) -> ChatCompletion: ...

    @overload
    def chat(  # type: ignore[overload-overlap]
        self,
        messages: Messages,
        params: Params = None,
        **options: Unpack[AnswerOrErrorOptions],
    ) -> ChatCompletion | LlamacyError: ...

    @overload
    def chat(
        self, messages: Several, params: Params = None, **options: Unpack[AnswerOptions]
    ) -> list[ChatCompletion]: ...

    @overload
    def chat(
        self,
        messages: Several,
        params: Params = None,
        **options: Unpack[AnswerOrErrorOptions],
    ) -> list[ChatCompletion | LlamacyError]: ...

    @checks_options(ChatOptions)
    def chat(
        self,
        messages: Any,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        on_error: str = "raise",
        **options: Unpack[ChatOptions],
    ) -> Any:
        """Answer the last message of a conversation, or of several together.

        The conversation is written in the model's own format, by the chat template in
        its file, because it was tuned on that. Give the whole conversation each time:
        tokens read or generated before are found in the KV cache, so that each turn
        reads only the new ones. Names of control tokens in messages are plain text: no
        message can end itself and go on as the system.

        Parameters
        ----------
        messages : list of dict, str, or an iterable of either
            Dicts with `role` (``"system"``, ``"user"``, ``"assistant"``, ``"tool"``)
            and `content`; or one text, which the user says. Or several conversations,
            as ``[[{"role": ...}], [{"role": ...}]]``, or a list of texts. If the last
            message is the assistant's, the answer continues it, and has only the new
            text.
        params : SamplingParams, optional
            How to choose tokens, and when to end.
        cancel, progress, on_error : optional
            As for `generate`.
        chat_format : str, optional
            One of ``llamacy.CHAT_FORMATS``, or a template in Jinja's language. By
            default it is the template in the model's file.
        overflow : {"error", "truncate", "shift"}, default "error"
            Handling of a conversation that is longer than the context. ``"error"``
            raises, because forgetting must not go unnoticed. ``"truncate"`` leaves out
            the oldest turns, then the oldest calls of the last turn with their results,
            but not the system's message at the beginning, and keeps room for the
            answer: `max_tokens`, at most half of the context; a quarter of it if that
            is None. ``"shift"`` keeps a quarter, and truncates again whenever the
            answer fills the context, so that only the model or `max_tokens` ends it.
        tools : sequence of callable or dict, optional
            Functions that the model may ask to be called, with docstrings and type
            hints, or JSON schemas as in OpenAI's API. llamacy calls none of them.
        template_arguments : dict, optional
            Other variables of the template, such as ``{"enable_thinking": False}``.
            ``{"continue_final_message": False}`` begins a new answer after one of the
            assistant's.
        reasoning_effort : str, optional
            How long to reason: one of the template's own words, such as gpt-oss's
            ``"low"``, ``"medium"`` and ``"high"``. ``"none"`` also sets
            `enable_thinking` to False, in templates that have no other variable.
        merge_system : bool, default False
            Move system messages further down into the first one, for templates that
            refuse them there, such as Qwen 3.5's.
        tool_choice : str or dict, default "auto"
            ``"required"`` makes the model call a tool, and a tool's name that one, with
            arguments that are valid by its schema. ``"none"`` leaves the tools out.
        strict_tools : bool, default False
            Make the arguments of all calls valid; ``"strict": True`` in a tool's schema
            those of that tool. A tool whose schema cannot be enforced is not called:
            `ChatCompletion.disabled_tools` says why.
        **options : SamplingOptions
            Fields of `SamplingParams` one by one; they override `params`.

        Returns
        -------
        ChatCompletion, or a list
            The answer, its reasoning, and the tool calls that it asks for; a list of
            answers for several conversations.

        Raises
        ------
        ChatTemplateError
            The model has no template, or its template fails.
        ContextLengthError
            The context does not hold the messages and an answer.
        ArgumentError
            An invalid message, tool or option.
        Interrupted
            Ctrl-C. Its `completion` is the answer so far, or the list of answers.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> messages = [{"role": "user", "content": "What is 12 + 30?"}]
        >>> answer = model.chat(messages, temperature=0)
        >>> answer.text
        '42'
        >>> messages += [answer.message, {"role": "user", "content": "Why?"}]
        >>> print(*model.chat(["What is 12 + 30?", "What is 3 + 4?"], temperature=0))
        42 7
        """
        question = Question(messages, params, options, cancel)
        engine, source = self.engine, self._template_source
        jobs = calls.answer_jobs(engine, source, question, on_error)
        return run(engine, jobs, progress)

    @overload
    def chat_each(
        self,
        conversations: Several,
        params: Params = None,
        **options: Unpack[AnswerOptions],
    ) -> Each[ChatCompletion]: ...

    @overload
    def chat_each(
        self,
        conversations: Several,
        params: Params = None,
        **options: Unpack[AnswerOrErrorOptions],
    ) -> Each[ChatCompletion | LlamacyError]: ...

    @checks_options(ChatOptions)
    def chat_each(
        self,
        conversations: Any,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        on_error: str = "raise",
        **options: Unpack[ChatOptions],
    ) -> Any:
        """Answer any number of conversations, and yield each answer once it has ended.

        Conversations are taken from their iterable as earlier ones end. It is to `chat`
        as `generate_each` is to `generate`.

        Parameters
        ----------
        conversations : iterable of lists of dict, or of str
            Conversations, as for `chat`.
        params, cancel, progress, on_error, options : optional
            As for `chat` and `generate_each`.

        Returns
        -------
        iterator of Finished
            Index and answer of each conversation, in the order in which the answers
            end; with a `close`, and for a ``with`` block.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> questions = ["What is 12 + 30?", "What is 3 + 4?"]
        >>> for index, answer in model.chat_each(questions, temperature=0):
        ...     assert answer.text == ["42", "7"][index]
        """
        question = Question(conversations, params, options, cancel)
        engine, source = self.engine, self._template_source
        jobs = calls.answer_jobs(engine, source, question, on_error, given_several)
        return Each(engine.worker, jobs, cancel, progress)

    @overload
    async def achat(  # type: ignore[overload-overlap]
        self,
        messages: Messages,
        params: Params = None,
        **options: Unpack[AnswerOptions],
    ) -> ChatCompletion: ...

    @overload
    async def achat(  # type: ignore[overload-overlap]
        self,
        messages: Messages,
        params: Params = None,
        **options: Unpack[AnswerOrErrorOptions],
    ) -> ChatCompletion | LlamacyError: ...

    @overload
    async def achat(
        self, messages: Several, params: Params = None, **options: Unpack[AnswerOptions]
    ) -> list[ChatCompletion]: ...

    @overload
    async def achat(
        self,
        messages: Several,
        params: Params = None,
        **options: Unpack[AnswerOrErrorOptions],
    ) -> list[ChatCompletion | LlamacyError]: ...

    @checks_options(ChatOptions)
    async def achat(
        self,
        messages: Any,
        params: SamplingParams | None = None,
        *,
        cancel: CancelToken | None = None,
        progress: OnProgress | None = None,
        on_error: str = "raise",
        **options: Unpack[ChatOptions],
    ) -> Any:
        """Answer the last message, or of several conversations, without blocking.

        Parameters, result and errors are those of `chat`. Cancelling the task ends the
        answers after the pass at hand, and drops them: to keep what there is of an
        answer, use `astream_chat`.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> asyncio.run(model.achat("What is 12 + 30?", temperature=0)).text
        '42'
        """
        question = Question(messages, params, options, cancel)
        engine, source = self.engine, self._template_source
        jobs = calls.answer_jobs(engine, source, question, on_error)
        return await run_async(engine, jobs, progress)

    @checks_options(PromptOptions)
    def chat_prompt(
        self, messages: Messages, **options: Unpack[PromptOptions]
    ) -> list[int]:
        r"""Return the token ids of the prompt that `chat` makes of a conversation.

        See what a template makes of messages, or count tokens before you ask.

        Examples
        --------
        >>> model = llamacy.load("demo")
        >>> ids = model.chat_prompt("What is 12 + 30?")
        >>> model.tokenizer.decode(ids, skip_special=False)
        '<s>### Instruction:\nWhat is 12 + 30?\n\n### Response:\n'
        """
        question = Question(messages, None, options)
        return question.prompt(self.engine, self._template_source).ids
