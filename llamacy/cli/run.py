"""`llamacy run`: a prompt in, its continuation or its answer out; or a chat."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.chat import Chat, begin_answer
from llamacy.cli.chat_commands import Talk
from llamacy.cli.failures import UsageError
from llamacy.cli.option_groups import takes_groups
from llamacy.cli.options import JSON, LoadingFlags
from llamacy.cli.printers import AnswerPrinter, Printer, TextPrinter
from llamacy.cli.prompt_progress import PromptProgress
from llamacy.cli.sampling_options import SamplingFlags, without_end
from llamacy.cli.text_input import check_text, model_and_text, unescape

if TYPE_CHECKING:
    from llamacy.generation.streams import Stream
    from llamacy.results import Completion, TokenLogprob
    from llamacy.tokenizers import Tokenizer

_NO_PROMPT = "no prompt: give one as an argument, with -f FILE or through a pipe"


@takes_groups
def run(
    first: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="GGUF file, name on the hub, or demo."),
    ] = None,
    second: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="The text to continue; none: a chat."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("-m", "--model", metavar="FILE", help="The model, as an option."),
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option("-p", "--prompt", metavar="TEXT", help="The text, as an option."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("-f", "--file", help="Read the prompt from a file; -: stdin."),
    ] = None,
    chat: Annotated[
        bool,
        typer.Option("--chat", help="Answer the prompt; chat if there is none."),
    ] = False,
    system: Annotated[
        str | None,
        typer.Option(
            "-sys", "--system", metavar="TEXT", help="What a chat's system says first."
        ),
    ] = None,
    chat_template: Annotated[
        str | None,
        typer.Option(
            "--chat-template",
            metavar="NAME",
            show_default="the model's own",
            help="How a chat is written, as alpaca or chatml; or a Jinja template.",
        ),
    ] = None,
    hide_reasoning: Annotated[
        bool,
        typer.Option(
            "--hide-reasoning",
            help="Do not show what comes before an answer.",
        ),
    ] = False,
    escape: Annotated[
        bool,
        typer.Option("-e", "--escape", help=r"Read \n, \t and the like in texts."),
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print timings on stderr.")
    ] = False,
    logprobs: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="With --json: log-probabilities, and the N likeliest."
        ),
    ] = None,
    json: JSON = False,
    sampling: SamplingFlags = SamplingFlags(),  # noqa: B008 -- frozen
    loading: LoadingFlags = LoadingFlags(),  # noqa: B008 -- frozen
) -> None:
    """Continue a text with a model, or chat with it.

    The prompt is an argument, a file (-f), or what is piped in; without one it is a
    chat. What is piped in beside a prompt comes before it. With --chat, --system or
    --chat-template the prompt is answered and not continued; without a prompt, what
    is piped in are the lines of a chat.
    """
    chats = chat or system is not None or chat_template is not None
    path, text = model_and_text(
        [first, second],
        model,
        prompt,
        file,
        "prompt",
        reads_pipe=not chats,
        joins_pipe=True,
        unescapes=escape,
    )
    if text is None and (json or not (chats or sys.stdin.isatty())):
        raise UsageError(_NO_PROMPT)
    if logprobs is not None and not json:
        raise UsageError("--logprobs: wanted --json with it")
    system = system and check_text(system)
    if escape:
        system = system and unescape(system)
        sampling = sampling.unescaped()

    params = sampling.params(logprobs=logprobs)
    with loading.load(path) as loaded:
        if sampling.ignore_eos:
            params = without_end(params, loaded.tokenizer)
        talk = Talk(
            params, system or "", verbose=verbose, shows_reasoning=not hide_reasoning
        )
        if text is None:
            Chat(loaded, talk, chat_template).run()
            return
        with PromptProgress() as progress:
            if chats:
                talk.say(text)
                stream: Stream = begin_answer(loaded, talk, chat_template, progress)
                printer: Printer = AnswerPrinter(not hide_reasoning)
            else:
                stream = loaded.stream(text, params, progress=progress)
                printer = TextPrinter(text if sys.stdout.isatty() else "")
            finished = _follow(stream, None if json else printer)
        if json:
            _print_json(path, stream.completion, loaded.tokenizer)
        if verbose:
            print(f"llamacy: {stream.completion.timings}", file=sys.stderr)
    if not finished:
        raise typer.Exit(130)


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
    if completion.logprobs is None:
        del result["logprobs"]
    else:
        result["logprobs"] = [_entry(one, tokenizer) for one in completion.logprobs]
    print(json.dumps(result, ensure_ascii=False))


def _entry(entry: TokenLogprob, tokenizer: Tokenizer) -> dict[str, Any]:
    def named(token: int, logprob: float) -> dict[str, Any]:
        # A model may have tokens beyond its vocabulary.
        piece = tokenizer.piece(token) if token < tokenizer.n_vocab else None
        return {"token": token, "piece": piece, "logprob": logprob}

    top = [named(*each) for each in entry.top]
    return {**named(entry.token, entry.logprob), "top": top}
