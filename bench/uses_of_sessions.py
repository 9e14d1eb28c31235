"""Sessions: fed, forked, rewound, saved, loaded, and kept while adapters change."""

from __future__ import annotations

import random
import tempfile
import time
from pathlib import Path

from known import Known

from llamacy import BusyError, Session

PATIENCE = 20.0  # seconds in which streams that were forgotten end


class SessionUses:
    """Ways to use sessions and adapters.

    One thread has one of these, with a session of its own that is never closed early.
    """

    def __init__(self, known: Known, seed: int) -> None:
        self.known = known
        self.model = known.model
        self.rng = random.Random(seed)
        self._kept: tuple[str, int, Session] | None = None

    def close(self) -> None:
        """Close the session that was kept."""
        if self._kept is not None:
            self._kept[2].close()

    def _with_others(self, prompt: str) -> list[str]:
        """Return a prompt, and a few others whose known texts are no shorter."""
        n_tokens = self.known.n_tokens
        others = [p for p in self.known.prompts if n_tokens[p] >= n_tokens[prompt]]
        return [prompt, *self.rng.sample(others, min(len(others), 5))]

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

    def use_saved_session(self, prompt: str) -> None:
        ids, greedy = self.known.ids[prompt], self.known.greedy(prompt)
        at = self.rng.randint(1, len(ids))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "text.session"
            with self.model.session() as session:
                session.feed(ids[:at])
                session.save(path)
            with self.model.load_session(path) as session:
                path.unlink()
                session.rewind(session.n_past - self.rng.randrange(at))
                rest = ids[session.n_past :]
                self.known.check(prompt, session.generate(rest, **greedy).text)

    def use_kept_session(self, prompt: str) -> None:
        if self._kept is None or self.rng.random() < 0.1:
            self.close()
            ids = self.known.ids[prompt]
            at = self.rng.randint(1, len(ids))
            self._kept = prompt, at, self.model.session()
            self._kept[2].feed(ids[:at])
        prompt, at, session = self._kept
        with session.fork() as other:
            rest = self.known.ids[prompt][at:]
            greedy = self.known.greedy(prompt)
            done = other.generate(rest or None, **greedy)
            self.known.check(prompt, done.text)

    def alone_switch_adapters(self, prompt: str) -> None:
        name = self.rng.choice(list(self.known.adapters))
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.known.use_adapters(name)
                break
            except BusyError:  # a stream that was forgotten has not ended yet
                if time.monotonic() > until:
                    raise
                time.sleep(0.01)
        done = self.model.generate(prompt, **self.known.greedy(prompt))
        self.known.check(prompt, done.text)
