"""200 clients use a server in every possible way: nothing is lost, wrong, or grows.

    python bench/serve_soak.py MODEL [--minutes 30] [--clients 200] [-n 48] [-t 2]
                               [--ctx 2048] [--seed 0] [--json FILE]

The greedy texts of some prompts are first computed alone, by the library. Then clients
do one randomly chosen thing after another, with `llamacy serve`: ask for texts by each
API, read them slowly, hang up, send half a request or a bad one. Every text is compared
with the one computed alone, and each refusal with the one that was deserved; a client
that hears "busy" comes again when it is told to. Meanwhile a process of its own asks
for `/health`, twenty times a second.

Ends with status 1 if an answer was wrong or missing, if a request was left in the
server at the end, if its log has errors, if its memory grew after the first third, or
if a hundredth of the looks at `/health` took 50 ms or more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from http_client import sent
from serve_clients import Busy, Client, Known
from serve_load import percentile
from servers import Running, llamacy_server

import llamacy

PROBE = Path(__file__).with_name("health_probe.py")
WORDS = "the a king dog went home to see 12 Ärger 森 🙂 and, it was.\n".split(" ")
N_PROMPTS = 40
SAMPLE_SECONDS = 5
MOST_GROWTH = 1.05
MOST_HEALTH_SECONDS = 0.05
PATIENCE = 300  # seconds for any one thing


def known_texts(path: str, options: argparse.Namespace) -> Known:
    """Compute texts one by one."""
    rng = random.Random(options.seed)
    greedy: Any = {"max_tokens": options.n_gen, "temperature": 0}
    with llamacy.load(path, n_ctx=options.ctx, n_threads=options.threads) as model:
        prompts = [
            " ".join(rng.choices(WORDS, k=rng.choice((3, 20, 120))))
            for _ in range(N_PROMPTS)
        ]
        texts = {one: model.generate(one, **greedy).text for one in prompts}
        answers = {one: model.chat(one, **greedy).message.content for one in prompts}
    return Known(texts, answers, options.n_gen)


class Soak:
    """Clients that use a server until a deadline, and their counts."""

    def __init__(self, server: Running, known: Known, seconds: float) -> None:
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        self.rss: list[int] = []
        self._known = known
        self._server = server
        self._deadline = time.monotonic() + seconds

    async def run(self, n_clients: int, seed: int) -> None:
        """Let all clients come to their ends."""
        clients = [
            Client(self._server.url, self._known, seed + i) for i in range(n_clients)
        ]
        watching = asyncio.ensure_future(self._watch())
        await asyncio.gather(*map(self._loop, clients))
        await watching
        await self._check_idle()

    async def _loop(self, client: Client) -> None:
        while time.monotonic() < self._deadline:
            use = client.rng.choice(client.all())
            name = use.__name__.removeprefix("use_")
            try:
                async with asyncio.timeout(PATIENCE):
                    await use(client.rng.choice(list(self._known.texts)))
            except Busy as busy:
                self.done["busy"] += 1
                await asyncio.sleep(busy.seconds * client.rng.uniform(0.8, 1.5))
                continue
            except Exception:
                self.failures.append(f"{name}: {traceback.format_exc()}")
                print(self.failures[-1])
            self.done[name] += 1

    async def _watch(self) -> None:
        process = psutil.Process(self._server.pid)
        while (left := self._deadline - time.monotonic()) > 0:
            await asyncio.sleep(min(SAMPLE_SECONDS, left))
            self.rss.append(process.memory_info().rss)
            size = f"{self.rss[-1] >> 20} MiB"
            print(f"{left:6.0f} s left, {size}, {dict(self.done)}", flush=True)

    async def _check_idle(self) -> None:
        """Check that no request is left in the server."""
        for _ in range(50):
            async with sent(f"{self._server.url}/metrics") as response:
                parts = [part async for part in response.parts()]
            lines = b"".join(parts).decode().splitlines()
            names = ("llamacy_texts_running", "llamacy_texts_waiting")
            left = [line for line in lines if line.startswith(names)]
            if all(line.endswith(" 0.0") for line in left):
                return
            await asyncio.sleep(0.1)
        self.failures.append(f"left in the server: {left}")


def judged(soak: Soak, server: Running, waits: list[float]) -> dict[str, Any]:
    """Return a report, with all that is wrong among the failures."""
    failures = soak.failures
    if errors := server.said[1:]:
        failures.append("the server's log: " + "".join(errors))
    third = len(soak.rss) // 3
    before, after = median(soak.rss[third : 2 * third]), median(soak.rss[-third:])
    if after > MOST_GROWTH * before:
        failures.append(f"memory grew from {before:.0f} to {after:.0f} bytes")
    health = percentile(waits, 0.99)
    if health >= MOST_HEALTH_SECONDS:
        failures.append(f"/health took {1000 * health:.0f} ms, at the 99th percentile")
    return {
        "done": dict(sorted(soak.done.items())),
        "failures": failures,
        "rss": {"second third": before, "last third": after, "most": max(soak.rss)},
        "health_ms": {
            "p50": 1000 * percentile(waits, 0.5),
            "p99": 1000 * health,
            "most": 1000 * max(waits),
            "n": len(waits),
        },
    }


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="200 clients use a server.")
    parser.add_argument("model", metavar="MODEL", help="a GGUF file that can chat")
    add = parser.add_argument
    add("--minutes", type=float, default=30)
    add("--clients", type=int, default=200, metavar="N")
    add("-n", "--n-gen", type=int, default=48, metavar="N", help="tokens of a text")
    add("-t", "--threads", type=int, default=2, metavar="N")
    add("--ctx", type=int, default=2048, metavar="N", help="tokens of a context")
    add("--seed", type=int, default=0)
    add("--json", metavar="FILE", help="write the results here too")
    return parser.parse_args()


def main() -> None:
    """Run as a command."""
    options = arguments()
    known = known_texts(options.model, options)
    flags = ["-t", options.threads, "-c", options.ctx]
    with llamacy_server(options.model, *flags) as server:
        command = [sys.executable, str(PROBE), server.url]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as probe:
            soak = Soak(server, known, 60 * options.minutes)
            asyncio.run(soak.run(options.clients, options.seed))
            waits = json.loads(probe.communicate()[0])
    report = judged(soak, server, waits)
    print(json.dumps(report, indent=1))
    if options.json:
        text = json.dumps(report, indent=1) + "\n"
        Path(options.json).write_text(text, encoding="utf-8")
    if report["failures"]:
        sys.exit(report["failures"][0])


if __name__ == "__main__":
    main()
