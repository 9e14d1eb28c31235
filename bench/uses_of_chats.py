"""Conversations: tool calls, answers one by one and together, streams."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from known import CALLING, same, weather
from uses_of_sessions import SessionUses

from llamacy import Model


def saying(model: Model, text: str) -> dict[str, Any]:
    """Return options that make a model say a text, and no more."""
    ids = model.tokenizer.encode(
        text, add_bos=False, parse_special=True, continues=True
    )
    following = iter(ids)

    def say(_: Any, logits: Any) -> None:
        logits[next(following)] = 1e9

    options = {"logits_processors": say, "max_tokens": len(ids), "temperature": 0}
    return CALLING | options


class ChatUses(SessionUses):
    """Ways to converse; answers to `Known.talk` are known."""

    def use_calls(self, prompt: str) -> None:
        arguments = {"city": prompt[:9], "days": self.rng.randrange(99)}
        call = json.dumps({"name": "weather", "arguments": arguments})
        said = saying(self.model, f"<tool_call>\n{call}\n</tool_call>")
        talk = self.known.talk(prompt)
        if self.rng.random() < 0.5:
            answer = self.model.chat(talk, **said)
        else:
            with self.model.stream_chat(talk, **said) as stream:
                for _ in stream:
                    pass
            answer = stream.completion
        found = [(one.name, one.arguments) for one in answer.tool_calls]
        same("calls", found, [("weather", arguments)])
        talk.append(answer.message)
        for one in answer.tool_calls:
            talk.append(one.result(weather(**one.arguments)))
        greedy = self.known.greedy(prompt)
        first, second = (self.model.chat(talk, **CALLING, **greedy) for _ in range(2))
        same("answer to a result", second.tokens, first.tokens)

    def use_chat(self, prompt: str) -> None:
        options = CALLING | self.known.greedy(prompt)
        self.known.check_reply(prompt, self._answer(prompt, options))

    def _answer(self, prompt: str, options: dict[str, Any]) -> Any:
        talk = self.known.talk(prompt)
        if self.rng.random() < 0.5:
            return self.model.chat(talk, **options)
        with self.model.stream_chat(talk, **options) as stream:
            for _ in stream:
                pass
        return stream.completion

    def use_chat_stream_closed_early(self, prompt: str) -> None:
        options = CALLING | self.known.greedy(prompt)
        stream = self.model.stream_chat(self.known.talk(prompt), **options)
        for _ in zip(range(self.rng.randint(0, 4)), stream, strict=False):
            pass
        if self.rng.random() < 0.5:  # or it is forgotten
            stream.close()
        found = stream.completion.tokens
        same("beginning", found, self.known.now.replies[prompt].tokens[: len(found)])

    def use_chat_list(self, prompt: str) -> None:
        prompts = self._with_others(prompt)
        options = CALLING | self.known.greedy(prompt)
        talks = [self.known.talk(one) for one in prompts]
        answers = self.model.chat(talks, **options)
        self._check_beginnings(prompts, answers)

    def use_chat_each(self, prompt: str) -> None:
        prompts = self._with_others(prompt)
        options = CALLING | self.known.greedy(prompt)
        talks = (self.known.talk(one) for one in prompts)
        answers: list[Any] = [None] * len(prompts)
        with self.model.chat_each(talks, **options) as finished:
            for index, answer in finished:
                answers[index] = answer
        self._check_beginnings(prompts, answers)

    def _check_beginnings(self, prompts: list[str], answers: list[Any]) -> None:
        for prompt, answer in zip(prompts, answers, strict=True):
            wanted = self.known.now.replies[prompt].tokens[: len(answer.tokens)]
            same("answer of a list", answer.tokens, wanted)

    def use_chat_coroutines(self, prompt: str) -> None:
        options = CALLING | self.known.greedy(prompt)
        talk = self.known.talk(prompt)

        async def streamed() -> Any:
            async with self.model.astream_chat(talk, **options) as stream:
                async for _ in stream:
                    pass
            return stream.completion

        async def main() -> None:
            left = asyncio.create_task(self.model.achat(talk, **options))
            answers = await asyncio.gather(
                self.model.achat(talk, **options), streamed()
            )
            for answer in answers:
                self.known.check_reply(prompt, answer)
            left.cancel()
            await asyncio.wait([left])

        asyncio.run(main())
