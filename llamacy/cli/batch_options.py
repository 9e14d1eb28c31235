"""Options of `llamacy batch`: the prompts of rows, and how they are answered."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.run_options import json_object
from llamacy.cli.sampling_options import SamplingFlags
from llamacy.cli.structure_options import StructureFlags
from llamacy.cli.text_input import check_text, read_text, unescape

if TYPE_CHECKING:
    from llamacy.jobs.tasks import Task

_option = partial(typer.Option, rich_help_panel="Prompts of columns")

_FIELDS: Final = {"n_predict": "max_tokens"}
"""Options of the command line with other names than those of `SamplingParams`."""


@dataclass(frozen=True, kw_only=True)
class RowFlags:
    """How to make prompts of rows, and what to do with them."""

    prompt: Annotated[
        str | None,
        _option(
            "-p",
            "--prompt",
            metavar="TEXT",
            help="Template of the prompt, with names of columns: 'Summarise: {text}'.",
        ),
    ] = None
    file: Annotated[
        Path | None, _option("-f", "--file", help="Read the template from a file.")
    ] = None
    system: Annotated[
        str | None,
        _option("-sys", "--system", metavar="TEXT", help="System message of each row."),
    ] = None
    raw: Annotated[
        bool, _option("--raw", help="Continue prompts, even with a chat template.")
    ] = False
    answer: Annotated[
        str | None,
        _option(
            "--answer",
            metavar="NAME",
            show_default="answer",
            help="Name of the column of answers, with which others' names begin.",
        ),
    ] = None
    choice: Annotated[
        list[str] | None,
        _option("--choice", metavar="TEXT", help="A possible answer; repeated."),
    ] = None
    chat_template: Annotated[
        str | None,
        _option(
            "--chat-template",
            metavar="NAME",
            show_default="the model's own",
            help="Chat format, such as alpaca or chatml, or a Jinja template.",
        ),
    ] = None
    chat_template_kwargs: Annotated[
        str | None,
        _option(metavar="JSON", help="Variables of the chat template, as an object."),
    ] = None
    reasoning_effort: Annotated[
        str | None,
        _option(
            metavar="NAME",
            help="How long to reason, in the template's words: low, for example.",
        ),
    ] = None
    escape: Annotated[
        bool, _option("-e", "--escape", help=r"Resolve \n, \t and so on in texts.")
    ] = False

    def task(
        self,
        sampling: SamplingFlags,
        structure: StructureFlags,
        given: Collection[str],
    ) -> Task:
        """Return the task of the command, checked.

        Parameters
        ----------
        sampling : SamplingFlags
            Sampling options.
        structure : StructureFlags
            The form of the answers.
        given : collection of str
            Names of the options on the command line.
        """
        from llamacy.jobs.columns import ANSWER, ColumnTask
        from llamacy.jobs.requests import RequestTask

        seed = sampling.seed if "seed" in given else 0
        if seed < 0:
            raise UsageError(f"--seed: wanted a number from 0, found {seed}")
        if sampling.ignore_eos:
            raise UsageError(
                "--ignore-eos: not for a batch; --n-predict limits answers"
            )
        template = self._template()
        if template is None:
            self._check_none(given)
            return RequestTask(seed=seed)
        if self.escape:
            sampling = sampling.unescaped()
        options = sampled(sampling, given) | structure.options() | self._chat_options()
        if self.choice is not None:
            options["choices"] = self.choice
        return ColumnTask(
            prompt=template,
            system=self._text(self.system),
            raw=self.raw or None,
            seed=seed,
            answer=ANSWER if self.answer is None else check_text(self.answer),
            options=options,
        )

    def _template(self) -> str | None:
        if self.prompt is not None and self.file is not None:
            raise UsageError("--prompt and --file: wanted one of them")
        if self.file is not None:
            return read_text(self.file)
        return self._text(self.prompt)

    def _text(self, text: str | None) -> str | None:
        if text is None:
            return None
        return unescape(check_text(text)) if self.escape else check_text(text)

    def _chat_options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            "chat_format": self.chat_template,
            "reasoning_effort": self.reasoning_effort,
        }
        if self.chat_template_kwargs is not None:
            options["template_arguments"] = json_object(
                "--chat-template-kwargs", self.chat_template_kwargs
            )
        return {name: value for name, value in options.items() if value is not None}

    def _check_none(self, given: Collection[str]) -> None:
        """Check that no option is given that requests have of their own."""
        groups = (RowFlags, SamplingFlags, StructureFlags)
        names = {one.name for group in groups for one in fields(group)} - {"seed"}
        if found := [name for name in given if name in names]:
            raise UsageError(
                f"--{found[0].replace('_', '-')}: requests have options of their own; "
                "wanted --prompt as well, for columns"
            )


def sampled(sampling: SamplingFlags, given: Collection[str]) -> dict[str, Any]:
    """Return the sampling options that are given, as fields of `SamplingParams`."""
    params = sampling.params()
    names = [one.name for one in fields(SamplingFlags) if one.name in given]
    names = [_FIELDS.get(name, name) for name in names if name != "seed"]
    return {name: getattr(params, name) for name in names}
