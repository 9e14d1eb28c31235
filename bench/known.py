"""Prompts, and what a model makes of them when it does nothing else."""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from turns import Turns

from llamacy import ChatCompletion, Choice, Model

N_PROMPTS = 30
N_TALK = 100  # most characters of a question
WORDS = "the a king dog went home to see 12 Ärger 森 🙂 and, it was.\n".split(" ")
LABELS = ["home", "the king", "a dog", "森"]

Greedy = dict[str, Any]


class Mismatch(AssertionError):
    """A result differs from the one computed alone."""


def same(what: str, found: object, wanted: object) -> None:
    """Compare two results."""
    if found != wanted:
        raise Mismatch(f"{what}: wanted {wanted!r}, found {found!r}")


def weather(city: str, days: int = 1) -> str:
    """Say what the weather will be.

    Args:
        city: where
        days: how far ahead
    """
    return f"{city}: {days} days of rain"


TEMPLATE = """\
{%- if tools %}{{ 'Tools: ' + tools | tojson + '\\n' }}
{{- 'Call them with <tool_call>{"name": ..., "arguments": ...}</tool_call>\\n' }}
{%- endif %}
{%- for m in messages %}{{ m.role + ': ' + (m.content or '') }}
{%- for call in m.tool_calls or [] %}
{{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
{{- call.function.arguments | tojson + '}\\n</tool_call>' }}{% endfor %}
{{- '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"""
"""For every model, so that those without a template of their own chat, too."""

CALLING = {"chat_format": TEMPLATE, "tools": [weather]}


class Results:
    """Results with one set of adapters, by prompt."""

    def __init__(self, known: Known) -> None:
        model, prompts = known.model, known.prompts
        self.scores = {prompt: model.score(prompt).total for prompt in prompts}
        self.choices = {prompt: model.choose(prompt, LABELS) for prompt in prompts}
        self.texts = {
            prompt: model.generate(prompt, **known.greedy(prompt)).text
            for prompt in prompts
        }
        self.replies = {
            prompt: model.chat(known.talk(prompt), **CALLING, **known.greedy(prompt))
            for prompt in prompts
        }


class Known:
    """Prompts, and the model's results for each of them when it does nothing else.

    Parameters
    ----------
    model : Model
        A model without adapters, which nobody else uses yet.
    rng : random.Random
        Chooses the prompts.
    adapters : mapping of str to list
        Sets of adapters by name, as for `Model.set_adapters`.
    """

    def __init__(
        self, model: Model, rng: random.Random, adapters: Mapping[str, Any]
    ) -> None:
        self.model = model
        self.prompts = self._prompts(rng)
        self.n_tokens = {prompt: rng.randint(4, 32) for prompt in self.prompts}
        self.ids = {prompt: model.tokenize(prompt) for prompt in self.prompts}
        self.round_trips = {p: model.detokenize(ids) for p, ids in self.ids.items()}
        self.turns = Turns()
        self.adapters = dict(adapters)
        self._results: dict[str, Results] = {}
        for name, lora in self.adapters.items():
            model.set_adapters(lora)
            self._results[name] = Results(self)
            self._in_use = name
        scores = [tuple(one.scores.values()) for one in self._results.values()]
        assert len(set(scores)) == len(scores), "adapters that change nothing"

    def _prompts(self, rng: random.Random) -> list[str]:
        # some begin alike, so that they share pages with others and with past texts
        model = self.model
        n_room = model.n_ctx // 2
        beginning = " ".join(rng.choices(WORDS, k=n_room))
        prompts: dict[str, None] = {}
        for number in range(N_PROMPTS):
            length = rng.randint(1, n_room)
            own = " ".join(rng.choices(WORDS, k=length))
            text = beginning[: 2 * length] + own if number % 3 == 0 else own
            # decoded ids have the wanted length with any vocabulary
            prompts[model.detokenize(model.tokenize(text)[:length]) or "a"] = None
        return list(prompts)

    @property
    def now(self) -> Results:
        """The results with the adapters in use."""
        return self._results[self._in_use]

    def shared(self) -> AbstractContextManager[None]:
        """Return a context in which nobody changes the adapters."""
        return self.turns.shared()

    def use_adapters(self, name: str) -> None:
        """Change the adapters; to be called when nobody else has a turn."""
        self.model.set_adapters(self.adapters[name])
        self._in_use = name

    def greedy(self, prompt: str) -> Greedy:
        """Return the options with which a prompt's text is known."""
        return {"temperature": 0, "max_tokens": self.n_tokens[prompt]}

    def talk(self, prompt: str) -> list[dict[str, Any]]:
        """Return a conversation whose answer is known."""
        return [{"role": "user", "content": prompt[:N_TALK]}]

    def check(self, prompt: str, text: str) -> None:
        """Compare a greedy text with the known one."""
        same("text", text, self.now.texts[prompt])

    def check_beginning(self, prompt: str, text: str) -> None:
        """Compare the beginning of a greedy text with the known one's."""
        same("beginning", text, self.now.texts[prompt][: len(text)])

    def check_reply(self, prompt: str, reply: ChatCompletion) -> None:
        """Compare a greedy answer to a conversation with the known one."""
        wanted = self.now.replies[prompt]
        same("answer", reply.tokens, wanted.tokens)
        same("message", reply.message, wanted.message)

    def check_choice(self, prompt: str, choice: Choice) -> None:
        """Compare the probabilities of labels with the known ones."""
        same("choice", choice, self.now.choices[prompt])
