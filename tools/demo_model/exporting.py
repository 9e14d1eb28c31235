"""Export a trained network as a GGUF file, for llamacy and llama.cpp."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import sentencepiece
from numpy.typing import NDArray

from .network import Network, Shape

NAME = "llamacy demo"
DESCRIPTION = (
    "A toy of 4 million parameters that comes with llamacy to show that it works. "
    "It knows little stories and small tasks, and nothing about the world."
)
# Alpaca's format; an end of text closes each answer. Newlines are in string literals,
# which no setting of Jinja trims.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role == 'system' %}{{ message.content + '\\n\\n' }}"
    "{% elif message.role == 'user' %}"
    "{{ '### Instruction:\\n' + message.content + '\\n\\n### Response:\\n' }}"
    "{% else %}{{ message.content + eos_token }}{% endif %}{% endfor %}"
)


def write_gguf(
    path: Path, network: Network, vocabulary: sentencepiece.SentencePieceProcessor
) -> None:
    """Write `network`, its matrices as F16 and its vectors as F32."""
    writer = gguf.GGUFWriter(path, "llama")
    _add_hyperparameters(writer, network.shape)
    _add_vocabulary(writer, vocabulary)
    for name, weights in _tensors(network).items():
        writer.add_tensor(
            name, weights.astype(np.float16) if weights.ndim == 2 else weights
        )
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_hyperparameters(writer: gguf.GGUFWriter, shape: Shape) -> None:
    writer.add_name(NAME)
    writer.add_description(DESCRIPTION)
    writer.add_license("mit")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_vocab_size(shape.n_vocab)
    writer.add_context_length(shape.n_ctx)
    writer.add_embedding_length(shape.n_embd)
    writer.add_block_count(shape.n_layer)
    writer.add_feed_forward_length(shape.n_ff)
    writer.add_head_count(shape.n_head)
    writer.add_head_count_kv(shape.n_head_kv)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_freq_base)


def _add_vocabulary(
    writer: gguf.GGUFWriter, vocabulary: sentencepiece.SentencePieceProcessor
) -> None:
    ids = range(vocabulary.vocab_size())
    writer.add_tokenizer_model("llama")
    writer.add_token_list([vocabulary.id_to_piece(i) for i in ids])
    writer.add_token_scores([vocabulary.get_score(i) for i in ids])
    writer.add_token_types([_type(vocabulary, i) for i in ids])
    writer.add_unk_token_id(vocabulary.unk_id())
    writer.add_bos_token_id(vocabulary.bos_id())
    writer.add_eos_token_id(vocabulary.eos_id())
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(False)
    writer.add_chat_template(CHAT_TEMPLATE)


def _type(vocabulary: sentencepiece.SentencePieceProcessor, i: int) -> int:
    if vocabulary.is_unknown(i):
        return int(gguf.TokenType.UNKNOWN)
    if vocabulary.is_control(i):
        return int(gguf.TokenType.CONTROL)
    if vocabulary.is_byte(i):
        return int(gguf.TokenType.BYTE)
    return int(gguf.TokenType.NORMAL)


def _tensors(network: Network) -> dict[str, NDArray[np.float32]]:
    tensors = {
        name: weights.detach().float().numpy()
        for name, weights in network.named_parameters()
    }
    for name, weights in tensors.items():
        if name.endswith(("attn_q.weight", "attn_k.weight")):
            tensors[name] = _interleaved(weights, network.shape.head_dim)
    return tensors


def _interleaved(rows: NDArray[np.float32], head_dim: int) -> NDArray[np.float32]:
    """Make pairs of each head's two halves neighbours, as in ggml.

    `rows` is (n_head * head_dim, n_embd).
    """
    halves = rows.reshape(-1, 2, head_dim // 2, rows.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(rows.shape)
