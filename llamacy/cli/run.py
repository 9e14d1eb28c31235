"""`llamacy run`: continue a prompt, answer it, or chat."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.chat import Chat, begin_answer
from llamacy.cli.chat_commands import Talk
from llamacy.cli.failures import UsageError
from llamacy.cli.option_groups import takes_groups
from llamacy.cli.options import JSON, LoadingFlags
from llamacy.cli.printers import AnswerPrinter, Printer, TextPrinter
from llamacy.cli.prompt_progress import PromptProgress
from llamacy.cli.run_options import ChatFlags, PromptFlags
from llamacy.cli.sampling_options import SamplingFlags, without_end

if TYPE_CHECKING:
    from llamacy.generation.streams import Stream
    from llamacy.generation.tally import OnProgress
    from llamacy.model.model import Model
    from llamacy.results import Completion, TokenLogprob
    from llamacy.tokenizers import Tokenizer

_NO_PROMPT = "no prompt: give one as an argument, with -f FILE or through a pipe"


@takes_groups
def run(
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
    loading: LoadingFlags = LoadingFlags(),  # noqa: B008 -- frozen
) -> None:
    """Continue a text with a model, or chat with it.

    The prompt is an argument, a file (-f), or piped in; without a prompt, a chat
    begins. Text piped in next to a prompt is put before it. With --chat, --system
    or --chat-template, the prompt is answered instead of continued; without a
    prompt, piped lines are the user's messages of a chat.
    """
    path, prompt = inputs.model_and_prompt(
        reads_pipe=not chatting.answers, unescapes=escape
    )
    if prompt is None and (json or not (chatting.answers or sys.stdin.isatty())):
        raise UsageError(_NO_PROMPT)
    if logprobs is not None and not json:
        raise UsageError("--logprobs: wanted --json as well")
    chatting = chatting.decoded()
    if escape:
        chatting, sampling = chatting.unescaped(), sampling.unescaped()

    params = sampling.params(logprobs=logprobs)
    with loading.load(path) as loaded:
        if sampling.ignore_eos:
            params = without_end(params, loaded.tokenizer)
        talk = Talk(
            params,
            chatting.system or "",
            verbose=verbose,
            shows_reasoning=not chatting.hide_reasoning,
        )
        if prompt is None:
            Chat(loaded, talk, chatting.chat_template).run()
            return
        with PromptProgress() as progress:
            stream, printer = _begin(loaded, prompt, talk, chatting, progress)
            finished = _follow(stream, None if json else printer)
        if json:
            _print_json(path, stream.completion, loaded.tokenizer)
        if verbose:
            print(f"llamacy: {stream.completion.timings}", file=sys.stderr)
    if not finished:
        raise typer.Exit(130)


def _begin(
    model: Model, prompt: str, talk: Talk, chatting: ChatFlags, progress: OnProgress
) -> tuple[Stream, Printer]:
    """Begin to answer or continue the prompt; return the stream and its printer."""
    if chatting.answers:
        talk.say(prompt)
        answer = begin_answer(model, talk, chatting.chat_template, progress)
        return answer, AnswerPrinter(talk.shows_reasoning)
    stream = model.stream(prompt, talk.params, progress=progress)
    return stream, TextPrinter(prompt if sys.stdout.isatty() else "")


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
        # A model may have more logits than its vocabulary has tokens.
        piece = tokenizer.piece(token) if token < tokenizer.n_vocab else None
        return {"token": token, "piece": piece, "logprob": logprob}

    top = [named(*each) for each in entry.top]
    return {**named(entry.token, entry.logprob), "top": top}
