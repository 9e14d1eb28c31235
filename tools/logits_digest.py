"""Print a digest of what models compute, at every level of this machine.

A change that must not touch the arithmetic leaves every line of the output alone:

    python tools/logits_digest.py demo models/*.gguf > before
    ...                                                    # the change, and a build
    python tools/logits_digest.py demo models/*.gguf > after
    diff before after

A line holds a level, the name of a model, and the SHA-256 of bits: of the logits of a
prompt longer than a pass, and of the tokens and log probabilities of texts that are
generated alone and together, for each type of the KV cache.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator

import numpy as np

import llamacy
from llamacy import kernels

KV_TYPES = ("f32", "f16", "q8_0")
N_PROMPT, N_GENERATED, N_TOGETHER = 600, 12, 5


def parts(source: str, kv_type: str) -> Iterator[bytes]:
    """Yield the bits of a model's logits, and of the texts that it generates."""
    with llamacy.load(source, kv_type=kv_type, n_threads=2) as model:
        n_vocab = model.config.n_vocab
        n_prompt = min(N_PROMPT, model.n_ctx - N_GENERATED)
        ids = np.random.default_rng(0).integers(0, n_vocab, n_prompt).tolist()
        yield model.logits(ids).tobytes()
        prompts = [ids[first : first + 40] for first in range(N_TOGETHER)]
        greedy = llamacy.SamplingParams(
            max_tokens=N_GENERATED, temperature=0, logprobs=2
        )
        for done in (
            model.generate(ids, greedy),
            *model.generate(prompts, greedy),
        ):
            likely = [(one.token, one.logprob, one.top) for one in done.logprobs or ()]
            yield repr((done.tokens, likely)).encode()


def digest(source: str) -> str:
    """Return the SHA-256 of all that a model computes, in hexadecimal."""
    total = hashlib.sha256()
    for kv_type in KV_TYPES:
        for part in parts(source, kv_type):
            total.update(part)
    return total.hexdigest()


def main(sources: list[str]) -> None:
    """Digest each model, at each level in a process of its own."""
    if level := os.environ.get("LLAMACY_ISA"):
        for source in sources:
            print(
                f"{level:12} {os.path.basename(source):32} {digest(source)}", flush=True
            )
        return
    for each in kernels.available():
        environment = {**os.environ, "LLAMACY_ISA": each.name}
        command = [sys.executable, __file__, *sources]
        subprocess.run(command, env=environment, check=True)


if __name__ == "__main__":
    main(sys.argv[1:] or ["demo"])
