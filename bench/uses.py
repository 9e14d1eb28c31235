"""Ways to use a model; each of them checks its results against known ones."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any

from llamacy import Model

N_PROMPTS = 30
WORDS = "the a king dog went home to see 12 Ärger 森 🙂 and, it was.\n".split(" ")

Greedy = dict[str, Any]


class Mismatch(AssertionError):
    """A result differs from the one computed alone."""


class Known:
    """Prompts, and the model's results for each of them when it does nothing else."""

    def __init__(self, model: Model, rng: random.Random) -> None:
        # some begin alike, so that they share pages with others and with past texts
        n_room = model.n_ctx // 2
        beginning = " ".join(rng.choices(WORDS, k=n_room))
        self.prompts: list[str] = []
        for number in range(N_PROMPTS):
            length = rng.randint(1, n_room)
            own = " ".join(rng.choices(WORDS, k=length))
            text = beginning[: 2 * length] + own if number % 3 == 0 else own
            # decoded ids have the wanted length with any vocabulary
            self.prompts.append(model.detokenize(model.tokenize(text)[:length]) or "a")
        self.n_tokens = {prompt: rng.randint(4, 32) for prompt in self.prompts}
        self.ids = {prompt: model.tokenize(prompt) for prompt in self.prompts}
        self.round_trips = {p: model.detokenize(ids) for p, ids in self.ids.items()}
        self.scores = {prompt: model.score(prompt).total for prompt in self.prompts}
        self.texts = {
            prompt: model.generate(prompt, **self.greedy(prompt)).text
            for prompt in self.prompts
        }

    def greedy(self, prompt: str) -> Greedy:
        """Return the options with which a prompt's text is known."""
        return {"temperature": 0, "max_tokens": self.n_tokens[prompt]}

    def check(self, prompt: str, text: str) -> None:
        """Compare a greedy text with the known one."""
        same("text", text, self.texts[prompt])

    def check_beginning(self, prompt: str, text: str) -> None:
        """Compare the beginning of a greedy text with the known one's."""
        same("beginning", text, self.texts[prompt][: len(text)])


def same(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise Mismatch(f"{what}: wanted {wanted!r}, found {found!r}")


class Uses:
    """Ways to use a model, a method for each; one thread has one of these."""

    def __init__(self, model: Model, known: Known, seed: int) -> None:
        self.model = model
        self.known = known
        self.rng = random.Random(seed)

    def all(self) -> list[Callable[[str], None]]:
        """Return the methods that take a prompt."""
        names = [name for name in vars(Uses) if name.startswith("use_")]
        return [getattr(self, name) for name in names]

    def use_generate(self, prompt: str) -> None:
        done = self.model.generate(prompt, **self.known.greedy(prompt))
        self.known.check(prompt, done.text)

    def use_sampling(self, prompt: str) -> None:
        options = {
            "seed": self.rng.randrange(99),
            "max_tokens": 8,
            "xtc_probability": 0.5,
        }
        first, second = (self.model.generate(prompt, **options) for _ in range(2))
        same("the same seed", second.tokens, first.tokens)

    def use_stream(self, prompt: str) -> None:
        with self.model.stream(prompt, **self.known.greedy(prompt)) as stream:
            pieces = [piece.text for piece in stream]
        self.known.check(prompt, "".join(pieces))

    def use_stream_closed_early(self, prompt: str) -> None:
        stream = self.model.stream(prompt, **self.known.greedy(prompt))
        for _ in zip(range(self.rng.randint(0, 4)), stream, strict=False):
            pass
        if self.rng.random() < 0.5:  # or it is forgotten
            stream.close()
        self.known.check_beginning(prompt, stream.completion.text)

    def use_list(self, prompt: str) -> None:
        n_tokens = self.known.n_tokens[prompt]
        others = [p for p in self.known.prompts if self.known.n_tokens[p] >= n_tokens]
        prompts = [prompt, *self.rng.sample(others, min(len(others), 5))]
        done = self.model.generate(prompts, **self.known.greedy(prompt))
        self.known.check(prompt, done[0].text)
        for one, completion in zip(prompts, done, strict=True):
            self.known.check_beginning(one, completion.text.rstrip("�"))

    def use_samples(self, prompt: str) -> None:
        samples = self.model.generate(prompt, n=3, **self.known.greedy(prompt))
        for one in samples:
            self.known.check(prompt, one.text)

    def use_session(self, prompt: str) -> None:
        ids, greedy = self.known.ids[prompt], self.known.greedy(prompt)
        at = self.rng.randrange(len(ids))
        with self.model.session() as session:
            if at:
                session.feed(ids[:at])
            with session.fork() as other:
                self.known.check(prompt, other.generate(ids[at:], **greedy).text)
                other.rewind(other.n_past - self.rng.randrange(len(ids)))
                rest = ids[other.n_past :]
                with other.stream(rest, **greedy) as stream:
                    text = "".join(piece.text for piece in stream)
                self.known.check(prompt, text)
            self.known.check(prompt, session.generate(ids[at:], **greedy).text)

    def use_score(self, prompt: str) -> None:
        same("score", self.model.score(prompt).total, self.known.scores[prompt])

    def use_tokenizer(self, prompt: str) -> None:
        ids = self.model.tokenize(prompt)
        same("ids", ids, self.known.ids[prompt])
        same("round trip", self.model.detokenize(ids), self.known.round_trips[prompt])

    def use_logprobs(self, prompt: str) -> None:
        options = self.known.greedy(prompt) | {"logprobs": 3, "prompt_logprobs": 1}
        done = self.model.generate(prompt, **options)
        self.known.check(prompt, done.text)
        for one in done.logprobs or ():
            same("likelihood of the likeliest", one.logprob, one.top[0][1])

    def use_coroutines(self, prompt: str) -> None:
        async def streamed() -> None:
            async with self.model.astream(prompt, **greedy) as stream:
                pieces = [piece.text async for piece in stream]
            self.known.check(prompt, "".join(pieces))

        async def main() -> None:
            left = asyncio.create_task(self.model.agenerate(prompt, **greedy))
            done, _ = await asyncio.gather(
                self.model.agenerate(prompt, **greedy), streamed()
            )
            self.known.check(prompt, done.text)
            left.cancel()
            await asyncio.wait([left])

        greedy = self.known.greedy(prompt)
        asyncio.run(main())

    def use_cancelling(self, prompt: str) -> None:
        cancel = threading.Event()
        timer = threading.Timer(self.rng.random() / 20, cancel.set)
        timer.start()
        done = self.model.generate(prompt, cancel=cancel, **self.known.greedy(prompt))
        timer.join()
        self.known.check_beginning(prompt, done.text.rstrip("�"))
