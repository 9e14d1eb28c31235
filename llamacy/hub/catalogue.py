"""Models that people run on CPUs: the table of `llamacy models`.

Each row names a file that its maker publishes or, where the maker publishes none, a
widely used conversion. Names, file sizes and licences are those of the repositories in
late 2026. Parameters are exact; they follow from the models' config.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from llamacy.system.memory import process_bytes

_F16_BYTES: Final = 2
_SLACK: Final = 1.02  # buffers of a pass, and weights that are larger once packed


@dataclass(frozen=True, slots=True)
class KeyValueShape:
    """The sizes that the KV cache depends on.

    Attributes
    ----------
    n_layer : int
        Layers.
    n_head_kv : int
        Heads of keys, and of values, in each layer.
    head_dim : int
        Numbers in a head.
    """

    n_layer: int
    n_head_kv: int
    head_dim: int

    @property
    def token_bytes(self) -> int:
        """Bytes that a token takes in the KV cache, as f16."""
        return 2 * _F16_BYTES * self.n_layer * self.n_head_kv * self.head_dim


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """A row of the table.

    Attributes
    ----------
    name : str
        Its name for `llamacy.load`.
    architecture : str
        Its family, as `llamacy.inspect` names it.
    license : str
        Its licence: an SPDX identifier, or the licence's own name.
    n_params : int
        Its parameters.
    n_bytes : int
        Size of the file.
    kv : KeyValueShape
        Sizes of its KV cache.
    n_ctx_train : int
        Length of the context that it was trained for, in tokens.
    n_vocab : int
        Tokens of its vocabulary.
    purpose : str
        Its uses, in a few words.
    tried : str
        How far llamacy's authors ran these weights; `""` if not at all.
    """

    name: str
    architecture: str
    license: str
    n_params: int
    n_bytes: int
    kv: KeyValueShape
    n_ctx_train: int
    n_vocab: int
    purpose: str
    tried: str = ""

    def memory_bytes(self, n_ctx: int) -> int:
        """Estimate the memory for the model and a text of `n_ctx` tokens, in bytes.

        `llamacy.inspect` computes it from the file.
        """
        kv_bytes = n_ctx * self.kv.token_bytes
        return int(_SLACK * self.n_bytes) + kv_bytes + process_bytes(self.n_vocab)


_Shape = KeyValueShape
_Model = CatalogueModel
# fmt: off
CATALOGUE: Final = (
    _Model("bartowski/SmolLM2-135M-Instruct-GGUF:Q4_K_M", "llama", "Apache-2.0",
           134_515_008, 105_454_432, _Shape(30, 3, 64), 8_192, 49_152,
           "trying things out; short, simple English",
           "another file of it was tried, in Q4_1"),
    _Model("ggml-org/gemma-3-270m-it-GGUF:Q8_0", "gemma3", "Gemma",
           268_098_176, 291_545_600, _Shape(18, 1, 256), 32_768, 262_144,
           "classifying and extracting, best after fine-tuning",
           "its base model was tried"),
    _Model("Qwen/Qwen3-0.6B-GGUF:Q8_0", "qwen3", "Apache-2.0",
           596_049_920, 639_446_688, _Shape(28, 8, 128), 40_960, 151_936,
           "small tasks in many languages; thinks first"),
    _Model("ggml-org/gemma-3-1b-it-GGUF:Q4_K_M", "gemma3", "Gemma",
           999_885_952, 806_058_240, _Shape(26, 1, 256), 32_768, 262_144,
           "chat and summaries on a small machine"),
    _Model("allenai/OLMo-2-0425-1B-Instruct-GGUF:Q4_K_M", "olmo2", "Apache-2.0",
           1_484_916_736, 935_515_296, _Shape(16, 16, 128), 4_096, 100_352,
           "research: training data and code are public"),
    _Model("ibm-granite/granite-3.3-2b-instruct-GGUF:Q4_K_M", "granite", "Apache-2.0",
           2_533_539_840, 1_545_303_328, _Shape(40, 8, 64), 131_072, 49_159,
           "summaries, documents, function calling"),
    _Model("Qwen/Qwen3-1.7B-GGUF:Q8_0", "qwen3", "Apache-2.0",
           1_720_574_976, 1_834_426_016, _Shape(28, 8, 128), 40_960, 151_936,
           "chat in many languages; thinks first"),
    _Model("ggml-org/SmolLM3-3B-GGUF:Q4_K_M", "smollm3", "Apache-2.0",
           3_075_098_624, 1_915_305_312, _Shape(36, 4, 128), 65_536, 128_256,
           "chat with or without thinking, long texts"),
    _Model("bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M", "llama", "Llama 3.2",
           3_212_749_888, 2_019_377_696, _Shape(28, 8, 128), 131_072, 128_256,
           "chat, summaries, rewriting"),
    _Model("ggml-org/gemma-3-4b-it-GGUF:Q4_K_M", "gemma3", "Gemma",
           3_880_099_328, 2_489_757_856, _Shape(34, 4, 256), 131_072, 262_144,
           "chat and translation in 140 languages"),
    _Model("unsloth/Phi-4-mini-instruct-GGUF:Q4_K_M", "phi3", "MIT",
           3_836_021_856, 2_491_874_272, _Shape(32, 8, 128), 131_072, 200_064,
           "reasoning, mathematics, function calling"),
    _Model("Qwen/Qwen3-4B-GGUF:Q4_K_M", "qwen3", "Apache-2.0",
           4_022_468_096, 2_497_280_256, _Shape(36, 8, 128), 40_960, 151_936,
           "an all-rounder for a laptop; thinks first"),
    _Model("unsloth/Qwen3-4B-Instruct-2507-GGUF:Q4_K_M", "qwen3", "Apache-2.0",
           4_022_468_096, 2_497_281_120, _Shape(36, 8, 128), 262_144, 151_936,
           "an all-rounder for a laptop; answers at once"),
    _Model("Qwen/Qwen2.5-Coder-7B-Instruct-GGUF:Q4_K_M", "qwen2", "Apache-2.0",
           7_615_616_512, 4_683_073_536, _Shape(28, 4, 128), 32_768, 152_064,
           "code"),
    _Model("bartowski/Meta-Llama-3.1-8B-Instruct-GGUF:Q4_K_M", "llama", "Llama 3.1",
           8_030_261_312, 4_920_739_232, _Shape(32, 8, 128), 131_072, 128_256,
           "chat, function calling, long texts"),
    _Model("Qwen/Qwen3-8B-GGUF:Q4_K_M", "qwen3", "Apache-2.0",
           8_190_735_360, 5_027_783_488, _Shape(36, 8, 128), 40_960, 151_936,
           "reasoning and function calling"),
    _Model("ggml-org/gemma-3-12b-it-GGUF:Q4_K_M", "gemma3", "Gemma",
           11_765_788_416, 7_300_574_976, _Shape(48, 8, 256), 131_072, 262_144,
           "writing, translation"),
    _Model("ggml-org/gpt-oss-20b-GGUF:MXFP4", "gpt-oss", "Apache-2.0",
           20_914_757_184, 12_109_566_624, _Shape(24, 8, 64), 131_072, 201_088,
           "reasoning, agents; quick, as 3.6 B are active"),
    _Model("Qwen/Qwen3-30B-A3B-GGUF:Q4_K_M", "qwen3moe", "Apache-2.0",
           30_532_122_624, 18_556_685_824, _Shape(48, 4, 128), 40_960, 151_936,
           "the best answers here; quick, as 3.3 B are active"),
    _Model("unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF:Q4_K_M", "qwen3moe", "Apache-2.0",
           30_532_122_624, 18_556_689_568, _Shape(48, 4, 128), 262_144, 151_936,
           "code, agents; quick, as 3.3 B are active"),
)
# fmt: on
"""The models, smallest file first."""
