"""Measure the demo model on text it was not trained on, with llamacy.

    python -m tools.demo_model.evaluate [MODEL ...] [--count N] [--json]

For each kind of instruction: the share of answers that are exactly right with greedy
decoding. For stories: the perplexity. Several models are each compared with the first.
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from random import Random

import llamacy

from .corpus import instruction
from .instructions import KINDS, Task
from .stories import story

SEED = 20_000  # not used in training
COMPLETING = "completing"  # the kinds as texts to continue, without a format
_MAX_TOKENS = 64
_N_STORIES = 200


@dataclass(frozen=True)
class Report:
    """Results of one model.

    Attributes
    ----------
    model : str
        Name of the model.
    right : dict of str to float
        Share of exactly right answers, by kind.
    mistakes : dict of str to list
        Up to three (instruction, wanted, found), by kind.
    perplexity : float
        Perplexity of stories, per token.
    """

    model: str
    right: dict[str, float]
    mistakes: dict[str, list[tuple[str, str, str]]]
    perplexity: float

    @property
    def overall(self) -> float:
        """Mean of the kinds' shares of exactly right answers."""
        return sum(self.right.values()) / len(self.right)


def tasks(kind: str, count: int, seed: int = SEED) -> list[tuple[str, str]]:
    """Draw prompts and their right answers, of one kind or as texts to complete."""
    rng = Random(f"{seed} {kind}")
    if kind != COMPLETING:
        made = [KINDS[kind](rng) for _ in range(count)]
        return [(task.prompt, task.answer) for task in made]
    begun: list[Task] = []
    while len(begun) < count:
        task = instruction(rng)
        if task.begun is not None:
            begun.append(task)
    return [(task.begun or "", task.completion) for task in begun]


def stories(count: int, seed: int = SEED) -> list[str]:
    """Draw stories whose perplexity is measured."""
    rng = Random(f"{seed} stories")
    return [story(rng) for _ in range(count)]


def answers(model: llamacy.Model, prompts: list[str]) -> list[str]:
    """Return the greedily decoded answers of `model`."""
    done = model.generate(prompts, max_tokens=_MAX_TOKENS, temperature=0)
    return [each.text for each in done]


def perplexity(model: llamacy.Model, texts: list[str]) -> float:
    """Compute exp of the mean negative log-likelihood of the tokens of all `texts`."""
    scores = [model.score(text) for text in texts]
    n_tokens = sum(len(score.tokens) - 1 for score in scores)  # not the first
    return math.exp(-sum(score.total for score in scores) / n_tokens)


def evaluate(path: str, count: int) -> Report:
    """Measure the model at `path` with `count` instructions of each kind."""
    right: dict[str, float] = {}
    mistakes: dict[str, list[tuple[str, str, str]]] = {}
    with llamacy.load(path) as model:
        for kind in (*KINDS, COMPLETING):
            asked = tasks(kind, count)
            found = answers(model, [prompt for prompt, _ in asked])
            wrong = [
                (prompt, wanted, text)
                for (prompt, wanted), text in zip(asked, found, strict=True)
                if text != wanted
            ]
            right[kind] = 1 - len(wrong) / count
            mistakes[kind] = wrong[:3]
        return Report(path, right, mistakes, perplexity(model, stories(_N_STORIES)))


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description="Evaluate the demo model.")
    parser.add_argument("models", nargs="*", default=["demo"])
    parser.add_argument("--count", type=int, default=200, help="instructions per kind")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    reports = [evaluate(path, arguments.count) for path in arguments.models]
    if arguments.json:
        print(json.dumps([asdict(report) for report in reports]))
        return
    for report in reports:
        print(_table(report))
        change = report.perplexity / reports[0].perplexity - 1
        print(f"perplexity of stories {report.perplexity:.4f} ({change:+.2%})\n")


def _table(report: Report) -> str:
    lines = [report.model]
    for kind, share in report.right.items():
        lines.append(f"  {kind:18} {share:7.1%}")
        for prompt, wanted, found in report.mistakes[kind]:
            lines.append(f"      {prompt!r}: wanted {wanted!r}, found {found!r}")
    lines.append(f"  {'all':18} {report.overall:7.1%}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
