"""Jobs in the form of OpenAI's batches: each line is a request with an id.

Source: OpenAI's API reference, "Batch": the request input object and the request output
object.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from llamacy.arguments import checked_integer, short
from llamacy.chat.results import ChatCompletion
from llamacy.errors import ArgumentError, LlamacyError
from llamacy.jobs.rows import Row, parsed
from llamacy.jobs.tasks import MAX_SEED, Result, Tally, file_name, name_of, seed_of
from llamacy.model.mixed_calls import (
    AnswerCall,
    Call,
    EmbeddingCall,
    Outcome,
    TextCall,
)
from llamacy.model.model import Model
from llamacy.model.prompt_ids import prompt_ids, token_bytes_of
from llamacy.protocols.faults import request_fault
from llamacy.protocols.openai.chat import ChatResponse
from llamacy.protocols.openai.chat_request import chat_request
from llamacy.protocols.openai.common import Head, total, usage
from llamacy.protocols.openai.completion_request import (
    CompletionRequest,
    completion_request,
)
from llamacy.protocols.openai.completions import CompletionResponse
from llamacy.protocols.openai.embedding_request import embedding_request
from llamacy.protocols.openai.embeddings import embedding_response

CHAT: Final = "/v1/chat/completions"
COMPLETIONS: Final = "/v1/completions"
EMBEDDINGS: Final = "/v1/embeddings"
URLS: Final = (CHAT, COMPLETIONS, EMBEDDINGS)
"""Endpoints that rows may name."""

_PROMPT_FIELDS: Final = {CHAT: "messages", COMPLETIONS: "prompt", EMBEDDINGS: "input"}


@dataclass(frozen=True, slots=True)
class Line:
    """A checked request of a batch, all but its body.

    Attributes
    ----------
    custom_id : str
        The client's name of it.
    url : str
        One of `URLS`.
    body : mapping
        The request.
    """

    custom_id: str
    url: str
    body: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class RequestTask:
    """Answers requests in the form of OpenAI's batches.

    Parameters
    ----------
    seed : int, default 0
        The job's seed, for requests that have none.

    Raises
    ------
    ArgumentError
        A bad seed.
    """

    seed: int = 0

    def __post_init__(self) -> None:
        checked_integer("seed", self.seed, 0, MAX_SEED)

    @property
    def fields(self) -> None:
        """Whole lines are read."""
        return None

    @property
    def identity(self) -> dict[str, Any]:
        """All that results depend on, as values of JSON."""
        return {"form": "OpenAI's batches", "seed": self.seed}

    def fitted(self, model: Model) -> RequestTask:
        """Return the task itself: each request says what it wants of the model."""
        return self

    def call(self, row: Row) -> Call:
        """Return what a request asks of the model.

        Raises
        ------
        ArgumentError
            The line is no request, or a field of its body cannot be used.
        """
        line = checked_line(parsed_line(row))
        if line.url == EMBEDDINGS:
            embeds = embedding_request(line.body)
            return EmbeddingCall(embeds.texts, embeds.options)  # type: ignore[arg-type]
        if line.url == CHAT:
            asked = chat_request(self._seeded(line.body, row))
            _check_whole(asked.streaming.is_on)
            answers = [asked.options_of(index) for index in range(asked.n)]
            return AnswerCall(asked.messages, answers)
        texts = completion_request(self._seeded(line.body, row))
        _check_whole(texts.streaming.is_on)
        each = [texts.options_of(index) for index in range(texts.n)]
        return TextCall(texts.prompts, each, has_marks=True)

    def result(self, row: Row, outcome: Outcome, model: Model) -> Result:
        """Return the output object of a request that was answered."""
        line = checked_line(parsed_line(row))
        if line.url == EMBEDDINGS:
            body = self._vectors(line, outcome, model)
        elif line.url == CHAT:
            body = self._answers(line, row, outcome, model)
        else:
            body = self._texts(line, row, outcome, model)
        return self._output(row, line.custom_id, 200, body)

    def failure(self, row: Row, error: LlamacyError) -> Result:
        """Return the output object of a request that has failed.

        As in OpenAI's, the error of a line that is no request stands beside the
        response, and that of a request's body in it.
        """
        try:
            values = parsed_line(row)
        except LlamacyError:
            return self._fault(row, None, "invalid_json_line", error)
        custom_id = values.get("custom_id")
        try:
            line = checked_line(values)
        except LlamacyError:
            name = custom_id if isinstance(custom_id, str) else None
            return self._fault(row, name, "invalid_request", error)
        fault = request_fault(error, _PROMPT_FIELDS[line.url])
        status, kind = (
            (400, "invalid_request_error") if fault else (500, "server_error")
        )
        code, field = fault or ("server_error", None)
        shown = {"message": str(error), "type": kind, "param": field, "code": code}
        return self._output(row, line.custom_id, status, {"error": shown})

    def tally(self, result: Result) -> Tally:
        """Return the tokens of a result, and whether it is an error."""
        response = result["response"]
        if response is None or response["status_code"] != 200:
            return Tally(has_failed=True)
        counts = response["body"]["usage"]
        return Tally(counts["prompt_tokens"], counts.get("completion_tokens", 0))

    def _seeded(self, body: Mapping[str, Any], row: Row) -> Mapping[str, Any]:
        if body.get("seed") is not None:
            return body
        return {**body, "seed": seed_of(self.seed, row.index)}

    def _output(
        self, row: Row, custom_id: str, status: int, body: Mapping[str, Any]
    ) -> Result:
        name = name_of(self.seed, row.index)
        return {
            "id": f"batch_req_{name}",
            "custom_id": custom_id,
            "response": {"status_code": status, "request_id": name, "body": body},
            "error": None,
        }

    def _fault(
        self, row: Row, custom_id: str | None, code: str, error: LlamacyError
    ) -> Result:
        return {
            "id": f"batch_req_{name_of(self.seed, row.index)}",
            "custom_id": custom_id,
            "response": None,
            "error": {"code": code, "message": str(error)},
        }

    def _head(self, prefix: str, row: Row, name: str, model: Model) -> Head:
        """Return the head of a response: the same whenever the job runs."""
        shown = name or file_name(model)
        return Head(f"{prefix}-{name_of(self.seed, row.index)}", 0, shown)

    def _answers(
        self, line: Line, row: Row, answers: Any, model: Model
    ) -> dict[str, Any]:
        asked = chat_request(line.body)
        head = self._head("chatcmpl", row, asked.model, model)
        if asked.has_one_call:
            answers = [replace(one, tool_calls=one.tool_calls[:1]) for one in answers]
        name = name_of(self.seed, row.index)
        answers = [_with_ids(one, f"{name}{i}") for i, one in enumerate(answers)]
        token_bytes = token_bytes_of(model)
        choices = [
            ChatResponse(head, token_bytes, index).whole(answer)
            for index, answer in enumerate(answers)
        ]
        return _joined(choices, [answers])

    def _texts(self, line: Line, row: Row, texts: Any, model: Model) -> dict[str, Any]:
        asked = completion_request(line.body)
        head = self._head("cmpl", row, asked.model, model)
        choices = []
        for index, text in enumerate(texts):
            prompt, ids = _shown_prompt(model, asked, index // asked.n)
            response = CompletionResponse(
                head, token_bytes_of(model), prompt, asked.echo, index
            )
            choices.append(response.whole(text, ids))
        groups = [texts[i : i + asked.n] for i in range(0, len(texts), asked.n)]
        return _joined(choices, groups)

    def _vectors(self, line: Line, outcome: Any, model: Model) -> dict[str, Any]:
        asked = embedding_request(line.body)
        name = asked.model or file_name(model)
        return {**embedding_response(outcome, name, asked.form)}


def parsed_line(row: Row) -> dict[str, Any]:
    """Return the JSON object of a row's line.

    Raises
    ------
    ArgumentError
        It is something else.
    """
    if row.fault:
        raise ArgumentError(f"the row: {row.fault}")
    content = row.content
    return parsed(content) if isinstance(content, bytes) else {**content}


def checked_line(values: Mapping[str, Any]) -> Line:
    """Return the request of a line, whose body is still to be checked.

    Raises
    ------
    ArgumentError
        A field is missing, or is something else.
    """
    custom_id, body = values.get("custom_id"), values.get("body")
    if not isinstance(custom_id, str) or not custom_id:
        raise ArgumentError(f"custom_id: wanted a text, found {short(custom_id)}")
    if (method := values.get("method", "POST")) != "POST":
        raise ArgumentError(f"method: wanted POST, found {short(method)}")
    if (url := values.get("url")) not in URLS:
        raise ArgumentError(f"url: wanted one of {', '.join(URLS)}, found {short(url)}")
    if not isinstance(body, Mapping):
        raise ArgumentError(f"body: wanted a JSON object, found {short(body)}")
    return Line(custom_id, url, body)


def _check_whole(is_streamed: bool) -> None:
    if is_streamed:
        raise ArgumentError("stream: wanted False, for a whole response, found True")


def _with_ids(answer: ChatCompletion, name: str) -> ChatCompletion:
    """Return an answer whose tool calls have ids that follow from the row."""
    calls = tuple(
        replace(call, id=f"call_{name}{index}")
        for index, call in enumerate(answer.tool_calls)
    )
    return replace(answer, tool_calls=calls)


def _shown_prompt(
    model: Model, asked: CompletionRequest, index: int
) -> tuple[str, list[int]]:
    """Return a prompt as text, and the ids that it is shown with."""
    prompt = asked.prompts[index]
    if not asked.echo and "logprobs" not in asked.options:
        return "", []
    ids = prompt_ids(model, prompt)
    if ids[:1] == [model.tokenizer.bos_id]:
        del ids[:1]
    return (prompt if isinstance(prompt, str) else model.detokenize(prompt)), ids


def _joined(choices: list[Any], groups: list[Any]) -> dict[str, Any]:
    """Return one response of those of several texts, with the tokens of all."""
    counts = total([text.usage for text in each] for each in groups)
    return {
        **choices[0],
        "choices": [one for each in choices for one in each["choices"]],
        "usage": usage(counts),
    }
