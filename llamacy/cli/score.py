"""`llamacy score`: the log-probability of a text under a model."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

import typer

from llamacy.cli.failures import UsageError
from llamacy.cli.option_groups import takes_groups
from llamacy.cli.options import JSON, LoadingFlags, ModelArgument, ModelOption, TextFile
from llamacy.cli.text_input import model_and_text

if TYPE_CHECKING:
    from llamacy.results import Score


@takes_groups
def score(
    first: ModelArgument = None,
    second: Annotated[
        str | None, typer.Argument(metavar="TEXT", help="The text, if not piped in.")
    ] = None,
    model: ModelOption = None,
    file: TextFile = None,
    json: JSON = False,
    loading: LoadingFlags = LoadingFlags(),  # noqa: B008 -- frozen
) -> None:
    """Show the log-probability of a text and of each of its tokens.

    Logarithms are natural. The first token has no probability, since nothing
    precedes it. The perplexity, exp of the mean negative log-probability, is the
    number of equally likely tokens that would be as hard to predict.
    """
    path, text = model_and_text([first, second], model, None, file, "text")
    if text is None:
        raise UsageError("no text: give it as an argument or through a pipe")
    with loading.load(path) as loaded:
        scored = loaded.score(text)
        pieces = [loaded.tokenizer.piece(token) for token in scored.tokens]
    if json:
        _print_json(path, scored, pieces)
    else:
        _print(scored, pieces)


def _print_json(path: str, scored: Score, pieces: list[str]) -> None:
    from json import dumps

    tokens = [
        {"token": token, "piece": piece, "logprob": logprob}
        for token, piece, logprob in zip(
            scored.tokens, pieces, scored.logprobs, strict=True
        )
    ]
    perplexity = scored.perplexity
    result = {
        "model": path,
        "n_tokens": len(tokens),
        "total": scored.total,
        # JSON cannot express infinity and NaN.
        "perplexity": perplexity if math.isfinite(perplexity) else None,
        "tokens": tokens,
    }
    print(dumps(result, ensure_ascii=False))


def _print(scored: Score, pieces: list[str]) -> None:
    from llamacy.cli.tables import print_table

    rows = []
    for token, piece, logprob in zip(
        scored.tokens, pieces, scored.logprobs, strict=True
    ):
        cells = ["", ""]
        if logprob is not None:
            cells = [f"{logprob:.3f}", f"{100 * math.exp(logprob):.1f}"]
        rows.append([str(token), repr(piece), *cells])
    print_table(["token", "piece", "logprob", "%"], rows, right="token logprob %")
    print(
        f"{len(pieces)} tokens, log-probability {scored.total:.3f}, "
        f"perplexity {scored.perplexity:.3f}"
    )
