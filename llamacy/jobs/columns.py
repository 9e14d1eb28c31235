"""Jobs about columns: a template makes a prompt of each row's fields."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from llamacy.arguments import checked_flag, checked_integer, short, unknown_options
from llamacy.chat.calls import ChatOptions
from llamacy.chat.formats import has_template
from llamacy.chat.prompt import PromptOptions
from llamacy.errors import ArgumentError, LlamacyError, UnsupportedCallError
from llamacy.jobs.rows import Row, fields_of
from llamacy.jobs.tasks import MAX_SEED, Result, Tally, seed_of
from llamacy.jobs.templates import Template, is_unicode
from llamacy.model.mixed_calls import (
    AnswerCall,
    Call,
    Outcome,
    TextCall,
    check_options,
)
from llamacy.model.model import Model
from llamacy.sampling import SamplingOptions, SamplingParams
from llamacy.structured.grammar import grammar_of

ANSWER: Final = "answer"
"""The column of the answers, unless it is given another name."""

_REASON, _READ, _WRITTEN, _ERROR = range(1, 5)
_OTHERS: Final = ("finish_reason", "prompt_tokens", "completion_tokens", "error")

COUNTS: Final = (_READ, _WRITTEN)
"""Places of the columns that have whole numbers; the others have texts."""

_REFUSED: Final = {
    "logits_processors": "a function of a process",
    "logprobs": "answers alone are written",
    "prompt_logprobs": "answers alone are written",
    "seed": "the job has one, which the rows' follow from",
    "tools": "answers alone are written",
    "tool_choice": "answers alone are written",
    "strict_tools": "answers alone are written",
}

_FORMS: Final = ("json_schema", "response_format", "regex", "choices", "grammar")


@dataclass(frozen=True, kw_only=True)
class ColumnTask:
    """Answers a prompt for each row, or continues it.

    Parameters
    ----------
    prompt : str
        A `Template` of the prompt.
    system : str, optional
        A system message before each prompt.
    raw : bool, optional
        Whether prompts are continued as they are; by default, if the model has no chat
        template.
    seed : int, default 0
        The job's seed.
    answer : str, default "answer"
        Name of the column of answers. Those beside it are `finish_reason`,
        `prompt_tokens`, `completion_tokens` and `error`; beside a column of another
        name they begin with it, as in `summary_error`.
    options : dict
        Options of `Model.chat`, or of `Model.generate` for a raw prompt.

    Raises
    ------
    ArgumentError
        A bad template or option, or one that a job cannot have.
    ConstraintError
        A form of the answers that cannot be enforced.
    MissingPackageError
        It needs llguidance, which is not installed.
    """

    prompt: str
    system: str | None = None
    raw: bool | None = None
    seed: int = 0
    answer: str = ANSWER
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.raw is not None:
            checked_flag("raw", self.raw)
        if self.raw and self.system is not None:
            raise ArgumentError("system: raw prompts have no messages")
        if not isinstance(self.system, str | None):
            raise ArgumentError(f"system: wanted a text, found {short(self.system)}")
        checked_integer("seed", self.seed, 0, MAX_SEED)
        if not isinstance(self.answer, str) or not self.answer:
            wanted = "the name of a new column"
            raise ArgumentError(f"answer: wanted {wanted}, found {short(self.answer)}")
        if not self.template.names:
            raise ArgumentError("prompt: wanted the name of a column in it, as {text}")
        for name in ("prompt", "system", "answer"):
            if not is_unicode(getattr(self, name) or ""):
                raise ArgumentError(f"{name}: wanted Unicode, found a lone surrogate")
        self._check_options()

    @property
    def template(self) -> Template:
        """The template of the prompt."""
        return Template(self.prompt, "prompt")

    @property
    def fields(self) -> tuple[str, ...]:
        """Columns that the template names."""
        return self.template.names

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the results: the answer, and those beside it."""
        before = "" if self.answer == ANSWER else f"{self.answer}_"
        return (self.answer, *(f"{before}{name}" for name in _OTHERS))

    @property
    def identity(self) -> dict[str, Any]:
        """All that results depend on, as values of JSON."""
        params = self._params
        options: dict[str, Any] = {
            name: getattr(params, name, value)  # equal options in one form
            for name, value in self.options.items()
            if name not in (*_FORMS, "drafting")
        }
        if form := params.form:
            options["form"] = [form.kind, form.source, form.is_lenient]
        return {
            "prompt": self.prompt,
            "system": self.system,
            "raw": self.raw,
            "seed": self.seed,
            "answer": self.answer,
            **options,
        }

    def check_columns(self, columns: Collection[str]) -> None:
        """Check an input's columns: the template's are there, the results' are not.

        Raises
        ------
        ArgumentError
            The message says which one is, or is not.
        """
        self.template.check(columns)
        for name in self.columns:
            if name in columns:
                raise ArgumentError(
                    f"answer: the input has a column {short(name)} already: give the "
                    "answers another name"
                )

    def fitted(self, model: Model) -> ColumnTask:
        """Return the task, which answers or continues as the model can.

        Raises
        ------
        LlamacyError
            The model writes no texts, has no template, or refuses an option.
        """
        if not model.config.is_causal:
            raise UnsupportedCallError(
                "wanted a model that writes texts, found one that embeds or ranks them"
            )
        raw = self.raw
        if raw is None:
            asks = self.system is not None or self.options.get("chat_format")
            raw = not (asks or has_template(model.metadata))
        fitted = replace(self, raw=raw)
        if raw:
            _check_raw(self.options)
        check_options(model, fitted._options(0), answers=not raw)
        return fitted

    def call(self, row: Row) -> Call:
        """Return what a row asks of the model, which the task was fitted to.

        Raises
        ------
        ArgumentError
            A field that the template names is missing or null.
        """
        fields = fields_of(row)
        if taken := [name for name in self.columns if name in fields]:
            raise ArgumentError(f"{short(taken[0])}: the row has such a field already")
        text = self.template.text(fields)
        options = self._options(row.index)
        if self.raw:
            return TextCall([text], [options])
        messages = [{"role": "user", "content": text}]
        if self.system is not None:
            messages.insert(0, {"role": "system", "content": self.system})
        return AnswerCall(messages, [options])

    def result(self, row: Row, outcome: Outcome, model: Model) -> Result:
        """Return the columns of a finished answer."""
        (text,) = outcome
        counts = text.usage.prompt_tokens, text.usage.completion_tokens
        values = (text.text, text.finish_reason, *counts, None)
        return dict(zip(self.columns, values, strict=True))

    def failure(self, row: Row, error: LlamacyError) -> Result:
        """Return the columns of a row that has failed: the error alone."""
        names = self.columns
        return {**dict.fromkeys(names), names[_ERROR]: str(error)}

    def tally(self, result: Result) -> Tally:
        """Return the tokens of a result, and whether it is an error."""
        values = [result[name] for name in self.columns]
        has_failed = values[_ERROR] is not None
        return Tally(values[_READ] or 0, values[_WRITTEN] or 0, has_failed)

    @property
    def _params(self) -> SamplingParams:
        names = SamplingOptions.__annotations__.keys()
        given = {name: self.options[name] for name in names & self.options.keys()}
        return SamplingParams(**given)

    def _options(self, index: int) -> dict[str, Any]:
        return {**self.options, "seed": seed_of(self.seed, index)}

    def _check_options(self) -> None:
        known = ChatOptions.__annotations__.keys()
        if not self.options.keys() <= known:
            raise unknown_options(self.options, [*known])
        for name, reason in _REFUSED.items():
            if self.options.get(name) is not None:
                raise ArgumentError(f"{name}: not for a column of answers: {reason}")
        if self.raw:
            _check_raw(self.options)
        if form := self._params.form:
            grammar_of(form)
        try:
            json.dumps(self.identity)
        except (TypeError, ValueError) as error:
            raise ArgumentError(f"options: wanted values of JSON: {error}") from None


def _check_raw(options: Mapping[str, Any]) -> None:
    for name in PromptOptions.__annotations__.keys() & options.keys():
        if options[name] is not None:
            raise ArgumentError(f"{name}: raw prompts have no messages")
