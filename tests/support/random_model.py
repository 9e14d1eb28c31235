"""A tiny LLaMA with random weights: seeded noise in a vocabulary of invented syllables.

It has learnt nothing, and babbles.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gguf
import numpy as np
from numpy.typing import NDArray

N_EMBD, N_LAYER, N_HEAD, N_HEAD_KV, N_FF, N_CTX = 64, 4, 4, 2, 192, 256
HEAD_DIM = N_EMBD // N_HEAD
SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # SentencePiece's mark for the beginning of a word
LETTERS = "abcdefghijklmnopqrstuvwxyz"
CHAT_TEMPLATE = """\
{{ bos_token }}{% for message in messages %}
{% if message.role == 'user' %}
### User:
{{ message.content }}
### Model:
{% else %}
{{ message.content }}{{ eos_token if message.role == 'assistant' }}

{% endif %}
{% endfor %}
"""
N_UNSPOKEN = (
    3 + 256 + 1 + len(LETTERS)
)  # all tokens except the syllables, which come last


def vocabulary(
    marks: Sequence[str] = (),
) -> tuple[list[str], list[float], list[int]]:
    """Return a SentencePiece vocabulary: pieces, scores, types.

    Three control tokens, a token for each byte (so that any text can be encoded),
    the letters, and syllables with and without a space before them; `marks` are more
    control tokens, which come last.
    """
    control = ["<unk>", "<s>", "</s>"]
    types = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    in_bytes = [f"<0x{byte:02X}>" for byte in range(256)]
    types += [gguf.TokenType.BYTE] * len(in_bytes)
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    words = [SPACE + syllable for syllable in syllables]
    normal = [SPACE, *LETTERS, *syllables, *words]
    types += [gguf.TokenType.NORMAL] * len(normal)
    # The highest score is merged first: "b" + "a", then the space before them.
    scores = [0.0] * (len(control) + len(in_bytes))
    scores += [-float(i) for i in range(len(normal))]
    types += [gguf.TokenType.CONTROL] * len(marks)
    scores += [0.0] * len(marks)
    pieces = [*control, *in_bytes, *normal, *marks]
    return pieces, scores, [int(t) for t in types]


def vocabulary_metadata() -> dict[str, Any]:
    """Return the vocabulary as a file's metadata."""
    pieces, scores, types = vocabulary()
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.scores": scores,
        "tokenizer.ggml.token_type": types,
    }


def tensors(n_vocab: int, seed: int) -> dict[str, NDArray[np.float32]]:
    """Return the weights by their GGUF names: matrices (n_out, n_in), norms (n,)."""
    rng = np.random.default_rng(seed)

    def noise(n_out: int, n_in: int) -> NDArray[np.float32]:
        weights = rng.standard_normal((n_out, n_in), dtype=np.float32)
        return weights * np.float32(n_in**-0.5)

    made = {"token_embd.weight": noise(n_vocab, N_EMBD)}
    for layer in range(N_LAYER):
        rows = {
            "attn_q": (N_EMBD, N_EMBD),
            "attn_k": (N_HEAD_KV * HEAD_DIM, N_EMBD),
            "attn_v": (N_HEAD_KV * HEAD_DIM, N_EMBD),
            "attn_output": (N_EMBD, N_EMBD),
            "ffn_gate": (N_FF, N_EMBD),
            "ffn_up": (N_FF, N_EMBD),
            "ffn_down": (N_EMBD, N_FF),
        }
        for name, (n_out, n_in) in rows.items():
            made[f"blk.{layer}.{name}.weight"] = noise(n_out, n_in)
        for name in ("attn_norm", "ffn_norm"):
            made[f"blk.{layer}.{name}.weight"] = np.ones(N_EMBD, np.float32)
    made["output_norm.weight"] = np.ones(N_EMBD, np.float32)
    # Large logits give it preferences; zeros keep it from some tokens.
    output = noise(n_vocab, N_EMBD) * np.float32(4)
    output[:N_UNSPOKEN] = 0
    made["output.weight"] = output
    return made


def write(
    path: str,
    seed: int = 0,
    chat_template: str | Sequence[Mapping[str, str]] = CHAT_TEMPLATE,
    marks: Sequence[str] = (),
    n_ctx: int = N_CTX,
    space_prefix: bool = True,
    split_max_tensors: int = 0,
    rope_freq_base: float = 10000.0,
) -> None:
    """Write the model to `path`: a GGUF file of about 300 kB, with matrices as Q8_0.

    An empty `chat_template` writes none, and several are dicts with `name` and
    `template`; `marks` are additional control tokens.
    `split_max_tensors` splits it into files of at most that number of tensors.
    """
    pieces, scores, types = vocabulary(marks)
    writer = gguf.GGUFWriter(path, "llama", split_max_tensors=split_max_tensors)
    writer.add_name("random babble")
    writer.add_context_length(n_ctx)
    writer.add_embedding_length(N_EMBD)
    writer.add_block_count(N_LAYER)
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(N_HEAD)
    writer.add_head_count_kv(N_HEAD_KV)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_rope_freq_base(rope_freq_base)
    writer.add_vocab_size(len(pieces))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(pieces)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(space_prefix)
    if chat_template:
        writer.add_chat_template(chat_template)
    for name, weights in tensors(len(pieces), seed).items():
        if weights.ndim == 1:
            writer.add_tensor(name, weights)
        else:
            q8_0 = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quants.quantize(weights, q8_0), raw_dtype=q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
