"""`llamacy run`: a prompt in, its continuation out as it is generated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.option_groups import takes_groups
from llamacy.cli.options import JSON, LoadingFlags
from llamacy.cli.sampling_options import SamplingFlags, without_end
from llamacy.cli.text_input import model_and_text, unescape
from llamacy.sources import DEMO

if TYPE_CHECKING:
    from llamacy.generation.streams import Stream
    from llamacy.results import Completion, TokenLogprob
    from llamacy.tokenizers import Tokenizer

_NO_PROMPT = (
    "no prompt: give one as an argument, with -f FILE or through a pipe; "
    "chatting comes in a later version"
)

_DEMO = r"""The demo model is a toy that comes with llamacy. It continues stories:

    llamacy run demo "Once upon a time"

and answers small instructions. Chatting will put them into its format in a later
version; until then, write the format out (-e reads \n as the end of a line):

    llamacy run demo -e "### Instruction:\nSpell cat.\n\n### Response:\n" --temp 0"""


@takes_groups
def run(
    first: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="GGUF file of the model, or demo."),
    ] = None,
    second: Annotated[
        str | None,
        typer.Argument(metavar="PROMPT", help="The text to continue."),
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
    """Continue a text with a model.

    The prompt is an argument, a file (-f), or what is piped in.
    """
    path, text = model_and_text([first, second], model, prompt, file, "prompt")
    if text is None and path == DEMO:
        print(_DEMO)
        return
    if text is None:
        raise UsageError(_NO_PROMPT)
    if logprobs is not None and not json:
        raise UsageError("--logprobs: wanted --json with it")
    if escape:
        text, sampling = unescape(text), sampling.unescaped()

    from llamacy.cli.prompt_progress import PromptProgress

    params = sampling.params(logprobs=logprobs)
    with loading.load(path) as loaded, PromptProgress() as progress:
        if sampling.ignore_eos:
            params = without_end(params, loaded.tokenizer)
        stream = loaded.stream(text, params, progress=progress)
        shown = text if not json and sys.stdout.isatty() else ""
        finished = _follow(stream, shown, quiet=json)
        if json:
            _print_json(path, stream.completion, loaded.tokenizer)
        if verbose:
            print(f"llamacy: {stream.completion.timings}", file=sys.stderr)
    if not finished:
        raise typer.Exit(130)


def _follow(stream: Stream, shown: str, quiet: bool) -> bool:
    """Print pieces as they come, after what is to be shown before the first.

    Returns False after a Ctrl-C.
    """
    try:
        with stream:
            for piece in stream:
                if not quiet:
                    print(shown, piece.text, sep="", end="", flush=True)
                    shown = ""
        return True
    except KeyboardInterrupt:
        return False
    finally:
        if not quiet:
            print(shown, flush=True)


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
