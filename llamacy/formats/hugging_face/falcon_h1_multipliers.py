"""Falcon-H1's multipliers: in config.json beside its matrices, in GGUF within them."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from llamacy.formats.gguf.limits import MAX_SCALE, MIN_SCALE
from llamacy.formats.hugging_face.mamba2 import FALCON_H1_WIDTH
from llamacy.formats.json_text import JsonObject

Factors: TypeAlias = NDArray[np.float32]


def factors(config: JsonObject) -> dict[str, Factors]:
    """Return what Falcon-H1 multiplies its matrices by, as GGUF's have been.

    Returns
    -------
    dict of str to float32, (1,) or (n_rows,)
        By the GGUF names of parts.
    """
    if FALCON_H1_WIDTH not in config.values:
        return {}
    scan = dict(config.items("scan"))
    n_keys = scan["group_count"] * scan["state_size"]
    widths = (scan["inner_size"],) * 2, (n_keys,) * 2, (scan["time_step_rank"],)
    n_rows = [n for each in widths for n in each]
    of_network = _multipliers(config, "mlp_multipliers", 2)
    of_scan = _multipliers(config, "ssm_multipliers", len(n_rows))
    taken, given = (
        _multiplier(config, f"attention_{way}_multiplier") for way in ("in", "out")
    )
    found = {
        "token_embd": [_multiplier(config, "embedding_multiplier")],
        "attn_q": [taken],
        "attn_k": [taken * _multiplier(config, "key_multiplier")],
        "attn_v": [taken],
        "attn_output": [given],
        "ssm_in": np.repeat(of_scan, n_rows) * _multiplier(config, "ssm_in_multiplier"),
        "ssm_out": [_multiplier(config, "ssm_out_multiplier")],
        "ffn_gate": of_network[:1],
        "ffn_down": of_network[1:],
        "output": [_multiplier(config, "lm_head_multiplier")],
    }
    if config.flag("tie_word_embeddings") and found["token_embd"] != found["output"]:
        wanted = "false, as embedding_multiplier and lm_head_multiplier differ"
        config.refuse("tie_word_embeddings", wanted, True)
    arrays = {part: np.array(values, np.float32) for part, values in found.items()}
    return {part: array for part, array in arrays.items() if (array != 1).any()}


def _multiplier(config: JsonObject, key: str) -> float:
    return config.real(key, MIN_SCALE, MAX_SCALE)


def _multipliers(config: JsonObject, key: str, n: int) -> list[float]:
    values = config.items(key)
    if len(values) != n:
        config.fail(key, f"{n} numbers", values)
    each = JsonObject(config.path, dict(zip(map(str, range(n)), values, strict=True)))
    return [_multiplier(each, str(number)) for number in range(n)]
