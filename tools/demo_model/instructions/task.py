"""An instruction with its answer, and the Alpaca format around it.

Source of the format: Taori et al., Stanford Alpaca (2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

PREAMBLE = (
    "Below is an instruction that describes a task. "
    "Write a response that appropriately completes the request.\n\n"
)


@dataclass(frozen=True)
class Task:
    """An instruction, its one right answer, and both as a text to complete.

    `begun` is a text that a base model would continue with `" " + answer` (code
    continues on the next line instead); None if there is no such form.
    """

    instruction: str
    answer: str
    begun: str | None = None

    @property
    def prompt(self) -> str:
        """The instruction in Alpaca's format, up to the beginning of the answer."""
        return f"### Instruction:\n{self.instruction}\n\n### Response:\n"

    @property
    def completion(self) -> str:
        """The continuation of `begun`."""
        assert self.begun is not None
        return self.answer if self.begun.endswith("\n") else f" {self.answer}"


def phrased(rng: Random, ways: tuple[str, ...], **slots: object) -> str:
    """Choose one of several wordings, and fill its slots."""
    return rng.choice(ways).format(**slots)
