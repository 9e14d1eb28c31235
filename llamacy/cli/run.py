"""`llamacy run`: answer a prompt, continue it, or chat."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.chat import Chat, begin_reply
from llamacy.cli.chat_commands import Talk
from llamacy.cli.endings import note, note_ending, note_timings
from llamacy.cli.failures import UsageError
from llamacy.cli.option_groups import takes_groups
from llamacy.cli.options import JSON, LoadingFlags
from llamacy.cli.printers import Printer
from llamacy.cli.prompt_progress import PromptProgress
from llamacy.cli.run_options import ChatFlags, PromptFlags
from llamacy.cli.sampling_options import (
    SamplingFlags,
    given_options,
    without_end,
)
from llamacy.cli.structure_options import StructureFlags

if TYPE_CHECKING:
    from llamacy.chat.prompt import PromptOptions
    from llamacy.generation.streams import Stream
    from llamacy.model.model import Model
    from llamacy.results import Completion, TokenLogprob
    from llamacy.tokenizers import Tokenizer

_NO_PROMPT = "no prompt: give one as an argument, with -f FILE or through a pipe"
_NO_TEMPLATE = (
    "looks like a base model: give it a text to continue "
    "(--chat-template alpaca, for example, has it answer)"
)


@takes_groups
def run(
    context: typer.Context,
    inputs: PromptFlags = PromptFlags(),  # noqa: B008 -- frozen
    chatting: ChatFlags = ChatFlags(),  # noqa: B008 -- frozen
    escape: Annotated[
        bool,
        typer.Option("-e", "--escape", help=r"Resolve \n, \t and so on in texts."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print timings to stderr.")
    ] = False,
    logprobs: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="With --json: print log-probabilities and the N likeliest tokens.",
        ),
    ] = None,
    json: JSON = False,
    sampling: SamplingFlags = SamplingFlags(),  # noqa: B008 -- frozen
    structure: StructureFlags = StructureFlags(),  # noqa: B008 -- frozen
    loading: LoadingFlags = LoadingFlags(),  # noqa: B008 -- frozen
) -> None:
    """Answer a prompt, continue a text, or chat.

    A model with a chat template answers the prompt; --raw continues it instead.
    A base model, which has no template, always continues it.

    The prompt is an argument, a file (-f), or piped in; without a prompt, a chat
    begins. With both a prompt and a file the file's text comes before the prompt;
    standard input is a file named -. With --chat and no prompt, piped lines are the
    user's messages of a chat.
    """
    path, prompt = inputs.model_and_prompt(
        reads_pipe=not chatting.chat, unescapes=escape
    )
    if prompt is None and (json or not (chatting.chat or sys.stdin.isatty())):
        raise UsageError(_NO_PROMPT)
    if logprobs is not None and not json:
        raise UsageError("--logprobs: wanted --json as well")
    chatting = chatting.decoded()
    if escape:
        chatting, sampling = chatting.unescaped(), sampling.unescaped()

    sampling.params()  # checked before the model is loaded
    form = structure.options()
    with loading.load(path) as loaded:
        params = sampling.params(
            loaded.default_params, given_options(context), logprobs=logprobs, **form
        )
        if sampling.ignore_eos:
            params = without_end(params, loaded.tokenizer)
        talk = Talk(
            params,
            chatting.system or "",
            answers=chatting.answers(loaded.metadata),
            verbose=verbose,
            shows_reasoning=not chatting.hide_reasoning,
        )
        if prompt is None:
            if not talk.answers and not chatting.raw:
                note(_NO_TEMPLATE)
            Chat(loaded, talk, chatting.prompt_options(), name=path).run()
            return
        talk.say(prompt)
        finished = _reply(
            loaded, talk, chatting.prompt_options(), path if json else None
        )
    if not finished:
        raise typer.Exit(130)


def _reply(
    model: Model, talk: Talk, options: PromptOptions, json_name: str | None
) -> bool:
    """Print the reply to the prompt; return False after a Ctrl-C.

    With a `json_name`, the reply is printed as JSON that names the model so.
    """
    with PromptProgress() as progress:
        stream, printer = begin_reply(model, talk, options, progress)
        finished = _follow(stream, printer if json_name is None else None)
    completion = stream.completion
    if json_name is not None:
        _print_json(json_name, completion, model.tokenizer)
    note_ending(model, completion, talk.params, answers=talk.answers)
    if talk.verbose:
        note_timings(completion)
    return finished


def _follow(stream: Stream, printer: Printer | None) -> bool:
    """Print pieces as they come; return False after a Ctrl-C."""
    try:
        with stream:
            for piece in stream:
                if printer:
                    printer.show(piece)
        return True
    except KeyboardInterrupt:
        return False
    finally:
        if printer:
            printer.end()


def _print_json(path: str, completion: Completion, tokenizer: Tokenizer) -> None:
    import json
    from dataclasses import asdict

    timings = completion.timings
    rates = {
        "prompt_tokens_per_second": timings.prompt_tokens_per_second,
        "generation_tokens_per_second": timings.generation_tokens_per_second,
    }
    result = {"model": path, **asdict(completion)}
    result["timings"].update(rates)
    del result["prompt_logprobs"]
    if completion.parsed is None:
        del result["parsed"]
    if completion.logprobs is None:
        del result["logprobs"]
    else:
        result["logprobs"] = [_entry(one, tokenizer) for one in completion.logprobs]
    print(json.dumps(result, ensure_ascii=False))


def _entry(entry: TokenLogprob, tokenizer: Tokenizer) -> dict[str, Any]:
    def named(token: int, logprob: float) -> dict[str, Any]:
        # A model may have more logits than its vocabulary has tokens.
        piece = tokenizer.piece(token) if token < tokenizer.n_vocab else None
        return {"token": token, "piece": piece, "logprob": logprob}

    top = [named(*each) for each in entry.top]
    return {**named(entry.token, entry.logprob), "top": top}
