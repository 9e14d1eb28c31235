"""Put the memory that models of some sizes need into a table of the documentation.

    python tools/memory_table.py            # writes the tables
    python tools/memory_table.py --check    # writes nothing; fails if one is stale

Figures are those of `llamacy.inspect` for the models' published shapes: a folder gets
the `config.json` that matters for memory, and a file of safetensors with the tensors'
names and shapes, whose weights are a hole that takes no space on the disk.
"""

from __future__ import annotations

import argparse
import json
import math
import struct
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import llamacy

ROOT = Path(__file__).resolve().parents[1]
PAGES = ("README.md", "docs/start/choosing.md")
BEGIN, END = "<!-- memory:begin -->", "<!-- memory:end -->"
N_CTX = 8192


class Shape(NamedTuple):
    """A model's published shape, with config.json's names."""

    name: str
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    is_tied: bool = False
    model_type: str = "llama"
    num_experts: int = 0


SHAPES = (
    Shape("Llama 3.2 1B", 2048, 8192, 16, 32, 8, 64, 128256, is_tied=True),
    Shape("Llama 3.2 3B", 3072, 8192, 28, 24, 8, 128, 128256, is_tied=True),
    Shape("Llama 3.1 8B", 4096, 14336, 32, 32, 8, 128, 128256),
    Shape("Qwen3 14B", 5120, 17408, 40, 40, 8, 128, 151936, False, "qwen3"),
    Shape(
        "Qwen3 30B-A3B (experts)",
        *(2048, 768, 48, 32, 4, 128, 151936, False),
        *("qwen3_moe", 128),
    ),
    Shape("Qwen3 32B", 5120, 25600, 64, 64, 8, 128, 151936, False, "qwen3"),
    Shape("Llama 3.3 70B", 8192, 28672, 80, 64, 8, 128, 128256),
)

CLASSES = {
    "llama": "LlamaForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
}


def config(shape: Shape) -> dict[str, Any]:
    """Return the settings in config.json that memory depends on."""
    settings = shape._asdict() | {
        "architectures": [CLASSES[shape.model_type]],
        "tie_word_embeddings": shape.is_tied,
        "max_position_embeddings": 131072,
        "rms_norm_eps": 1e-5,
        "rope_theta": 1e6,
        "hidden_act": "silu",
    }
    if shape.num_experts:
        settings |= {
            "moe_intermediate_size": shape.intermediate_size,
            "num_experts_per_tok": 8,
            "norm_topk_prob": True,
        }
    return settings


def tensors(shape: Shape) -> dict[str, tuple[int, ...]]:
    """Return the sizes of the tensors in safetensors, by their names."""
    width, n_ff = shape.hidden_size, shape.intermediate_size
    n_q = shape.num_attention_heads * shape.head_dim
    n_kv = shape.num_key_value_heads * shape.head_dim
    layer: dict[str, tuple[int, ...]] = {
        "input_layernorm": (width,),
        "post_attention_layernorm": (width,),
        "self_attn.q_proj": (n_q, width),
        "self_attn.k_proj": (n_kv, width),
        "self_attn.v_proj": (n_kv, width),
        "self_attn.o_proj": (width, n_q),
    }
    if shape.model_type != "llama":
        layer |= dict.fromkeys(
            ("self_attn.q_norm", "self_attn.k_norm"), (shape.head_dim,)
        )
    if shape.num_experts:
        layer["mlp.gate"] = (shape.num_experts, width)
    experts = [f"mlp.experts.{i}" for i in range(shape.num_experts)]
    for prefix in experts or ["mlp"]:
        layer[f"{prefix}.gate_proj"] = (n_ff, width)
        layer[f"{prefix}.up_proj"] = (n_ff, width)
        layer[f"{prefix}.down_proj"] = (width, n_ff)
    found = {"model.embed_tokens": (shape.vocab_size, width), "model.norm": (width,)}
    if not shape.is_tied:
        found["lm_head"] = (shape.vocab_size, width)
    for i in range(shape.num_hidden_layers):
        found |= {f"model.layers.{i}.{name}": sizes for name, sizes in layer.items()}
    return {f"{name}.weight": sizes for name, sizes in found.items()}


def write_hollow(folder: Path, shape: Shape) -> None:
    """Write a model's folder, with a hole where its weights would be."""
    (folder / "config.json").write_text(json.dumps(config(shape)), encoding="utf-8")
    header, end = {}, 0
    for name, sizes in tensors(shape).items():
        begin, end = end, end + 2 * math.prod(sizes)
        header[name] = {"dtype": "BF16", "shape": sizes, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


def row(shape: Shape) -> tuple[str, list[float]]:
    """Return the number of weights, in words, and GiB: by type, of KV, and of all."""
    with TemporaryDirectory() as name:
        write_hollow(Path(name), shape)
        four, eight = (
            llamacy.inspect(name, quantize=kind) for kind in ("Q4_K_M", "Q8_0")
        )
    kv = four.kv_bytes(N_CTX)
    sizes = four.weights_bytes, eight.weights_bytes, kv, four.weights_bytes + kv
    return f"{four.n_params / 1e9:.1f}", [size / 2**30 for size in sizes]


def table() -> str:
    """Return the Markdown table: a row for each model."""
    lines = [
        f"| model | billions of weights | weights, `Q4_K_M` | weights, `Q8_0` "
        f"| KV cache, {N_CTX:,} tokens | `Q4_K_M` and KV |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for shape in SHAPES:
        n_weights, sizes = row(shape)
        *parts, whole = (f"{size:.1f}" for size in sizes)
        cells = [shape.name, n_weights, *parts, f"**{whole} GiB**"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def with_table(page: str, text: str, name: str) -> str:
    """Return the text of a page with a new table between its markers."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        sys.exit(f"{name}: wanted the lines {BEGIN} and {END}, found not both")
    return f"{before}{begin}\n\n{text}\n\n{end}{after}"


def main() -> None:
    """Run as a command."""
    parser = argparse.ArgumentParser(description="The memory that models need.")
    parser.add_argument("--check", action="store_true", help="write nothing")
    is_check = parser.parse_args().check
    text = table()
    stale = []
    for name in PAGES:
        path = ROOT / name
        page = path.read_text(encoding="utf-8")
        wanted = with_table(page, text, name)
        if page != wanted:
            stale.append(name)
            if not is_check:
                path.write_text(wanted, encoding="utf-8", newline="\n")
    if is_check and stale:
        sys.exit(f"{', '.join(stale)}: run python tools/memory_table.py")


if __name__ == "__main__":
    main()
