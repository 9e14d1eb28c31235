"""`llamacy run`: a prompt in, its continuation out as it is generated."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.options import JSON, KVType, Threads
from llamacy.cli.text_input import check_text, read_text

if TYPE_CHECKING:
    from llamacy.generation.streams import Stream
    from llamacy.results import Completion

_NO_PROMPT = (
    "no prompt: give one as an argument, with -f FILE or through a pipe; "
    "chatting comes in a later version"
)


def run(
    first: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="GGUF file of the model.")
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
    n_predict: Annotated[
        int,
        typer.Option(
            "-n", "--n-predict", metavar="N", help="Most tokens to generate; -1: any."
        ),
    ] = -1,
    temperature: Annotated[
        float,
        typer.Option(
            "--temp", "--temperature", metavar="T", help="Randomness; 0: greedy."
        ),
    ] = 0.8,
    top_k: Annotated[
        int, typer.Option(metavar="K", help="Keep the K likeliest; 0: all.")
    ] = 40,
    top_p: Annotated[
        float, typer.Option(metavar="P", help="Keep the likeliest of sum P; 1: all.")
    ] = 0.95,
    min_p: Annotated[
        float,
        typer.Option(metavar="P", help="Keep those P times the likeliest; 0: all."),
    ] = 0.05,
    seed: Annotated[
        int,
        typer.Option(
            "-s", "--seed", metavar="N", help="Same seed, same text; -1: any."
        ),
    ] = -1,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="End at this text; may be repeated."),
    ] = None,
    threads: Threads = None,
    n_ctx: Annotated[
        int,
        typer.Option(
            "-c",
            "--ctx-size",
            metavar="N",
            help="Most tokens of prompt and text together; 0: the model's own.",
        ),
    ] = 0,
    kv_type: KVType = "f16",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Print timings on stderr.")
    ] = False,
    json: JSON = False,
) -> None:
    """Continue a text with a model.

    The prompt is an argument, a file (-f), or what is piped in.
    """
    path, text = _sort_out([first, second], model, prompt, file)

    import llamacy

    params = llamacy.SamplingParams(
        max_tokens=None if n_predict < 0 else n_predict,
        temperature=temperature,
        top_k=max(top_k, 0),
        top_p=top_p,
        min_p=min_p,
        seed=seed,
        stop=stop,
    )
    with llamacy.load(
        path, n_ctx=n_ctx or None, n_threads=threads, kv_type=kv_type
    ) as loaded:
        stream = loaded.stream(text, params)
        if not json and sys.stdout.isatty():
            print(text, end="", flush=True)
        finished = _follow(stream, quiet=json)
        if json:
            _print_json(path, stream.completion)
        if verbose:
            print(f"llamacy: {stream.completion.timings}", file=sys.stderr)
    if not finished:
        raise typer.Exit(130)


def _sort_out(
    arguments: list[str | None],
    model: str | None,
    prompt: str | None,
    file: Path | None,
) -> tuple[str, str]:
    """Tell model and prompt apart: options first, arguments fill what is missing.

    Raises
    ------
    UsageError : one of them is missing, or given twice.
    """
    given = [argument for argument in arguments if argument is not None]
    if model is None:
        if not given:
            raise UsageError("no model: give the path of a GGUF file")
        model = given.pop(0)
    texts = [*given, *([] if prompt is None else [prompt])]
    if len(texts) + (file is not None) > 1:
        raise UsageError("more than one prompt")
    text = check_text(texts[0]) if texts else read_text(file)
    if text is None or not (text or texts):
        raise UsageError(_NO_PROMPT)
    return model, text


def _follow(stream: Stream, quiet: bool) -> bool:
    """Print the pieces of `stream` as they come; return False after a Ctrl-C."""
    try:
        with stream:
            for piece in stream:
                if not quiet:
                    print(piece.text, end="", flush=True)
        return True
    except KeyboardInterrupt:
        return False
    finally:
        if not quiet:
            print(flush=True)


def _print_json(path: str, completion: Completion) -> None:
    import json
    from dataclasses import asdict

    timings = completion.timings
    rates = {
        "prompt_tokens_per_second": timings.prompt_tokens_per_second,
        "generation_tokens_per_second": timings.generation_tokens_per_second,
    }
    result = {"model": path, **asdict(completion)}
    result["timings"].update(rates)
    print(json.dumps(result, ensure_ascii=False))
