"""Ways to use a model; each of them checks its results against known ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from known import LABELS, same
from uses_of_chats import ChatUses


class Uses(ChatUses):
    """Ways to use a model, a method for each; one thread has one of these.

    `use_` methods take turns together, `alone_` methods alone.
    """

    def all(self) -> list[Callable[[str], None]]:
        """Return the methods that take a prompt."""
        names = [name for name in dir(self) if name.startswith(("use_", "alone_"))]
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
        prompts = self._with_others(prompt)
        done = self.model.generate(prompts, **self.known.greedy(prompt))
        self.known.check(prompt, done[0].text)
        for one, completion in zip(prompts, done, strict=True):
            self.known.check_beginning(one, completion.text.rstrip("�"))

    def use_generate_each(self, prompt: str) -> None:
        prompts = self._with_others(prompt)
        greedy = self.known.greedy(prompt)
        with self.model.generate_each(iter(prompts), **greedy) as finished:
            for index, done in finished:
                self.known.check_beginning(prompts[index], done.text.rstrip("�"))
                if self.rng.random() < 0.1:
                    break  # the others are cancelled

    def use_choose(self, prompt: str) -> None:
        if self.rng.random() < 0.5:
            self.known.check_choice(prompt, self.model.choose(prompt, LABELS))
            return
        prompts = [prompt, *self.rng.sample(self.known.prompts, 2)]
        choices = self.model.choose(prompts, LABELS)
        for one, choice in zip(prompts, choices, strict=True):
            self.known.check_choice(one, choice)

    def use_counting(self, prompt: str) -> None:
        same("count", self.model.count_tokens(prompt), len(self.known.ids[prompt]))
        same("parts", "".join(self.model.split_text(prompt, 16)), prompt)

    def use_samples(self, prompt: str) -> None:
        samples = self.model.generate(prompt, n=3, **self.known.greedy(prompt))
        for one in samples:
            self.known.check(prompt, one.text)

    def use_score(self, prompt: str) -> None:
        same("score", self.model.score(prompt).total, self.known.now.scores[prompt])

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
