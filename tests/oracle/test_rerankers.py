"""Rerankers give the scores of their makers' own code, which runs on transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import llamacy
from tests.support import byte_level_model
from tests.support.encoder_fixtures import MERGES, QWEN_MARKS

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is absent")

VECTORS = Path(__file__).parents[1] / "tokenizers" / "llama_cpp_vectors.json"
N_CTX = 48
SIZES: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.3,
    "num_labels": 1,
}
QUERIES = ["who lives here?", "a long question " * 12]
DOCUMENTS = ["the cat lives here.", "", "nobody, " * 30, "a dog", "it is long " * 40]
INSTRUCTION = (
    "Given a web search query, retrieve relevant passages that answer the query"
)


def bert(folder: Path) -> Any:
    keys = json.loads(VECTORS.read_text())["bert"]["keys"]
    rows = zip(keys["tokens"], keys["token_type"], strict=True)
    texts = [
        text if kind != 1 else text[1:] if text[:1] == "▁" else f"##{text}"
        for text, kind in rows
    ]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return transformers.BertTokenizer.from_pretrained(folder)


def xlm_roberta(folder: Path) -> Any:
    keys = json.loads(VECTORS.read_text())["t5-plain"]["keys"]
    pieces = list(zip(keys["tokens"], keys["scores"], strict=True))[3:-1]
    vocab = [(text, 0.0) for text in ("<s>", "<pad>", "</s>", "<unk>")] + pieces
    return transformers.XLMRobertaTokenizer(vocab=vocab)


CROSS_ENCODERS = {
    "BertForSequenceClassification": (bert, {"max_position_embeddings": N_CTX}),
    "XLMRobertaForSequenceClassification": (
        xlm_roberta,
        {"max_position_embeddings": N_CTX + 2, "pad_token_id": 1, "type_vocab_size": 1},
    ),
}


@pytest.mark.parametrize("name", CROSS_ENCODERS)
def test_cross_encoders_read_pairs_as_transformers_does(
    tmp_path: Path, name: str
) -> None:
    make, sizes = CROSS_ENCODERS[name]
    tokenizer = make(tmp_path / "vocabulary")
    torch.manual_seed(0)
    kind = getattr(transformers, name)
    config = kind.config_class(**SIZES, **sizes, vocab_size=len(tokenizer))
    model = kind(config).float().eval()
    folder = tmp_path / "folder"
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    file = tmp_path / "file.gguf"
    llamacy.convert(folder, file)
    for query in QUERIES:
        wanted = []
        for document in DOCUMENTS:
            # in lists: an empty document by itself would count as absent
            pair = tokenizer(
                [query],
                [document],
                truncation="longest_first",
                max_length=N_CTX,
                return_tensors="pt",
            )
            with torch.no_grad():
                wanted.append(torch.sigmoid(model(**pair).logits)[0, 0].item())
        for path in (folder, file):
            with llamacy.load(path) as ours:
                found = ours.rerank(query, DOCUMENTS, truncate=True)
            np.testing.assert_allclose(found.scores, wanted, atol=2e-5)


def qwen3(folder: Path) -> tuple[Any, Any]:
    """Save a tiny model of the family, and return it and its tokenizer."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    texts = [*byte_level_model.byte_characters(), *MERGES.values()]
    merges: Any = [tuple(pair.split()) for pair in MERGES]
    library = Tokenizer(
        models.BPE(vocab={text: i for i, text in enumerate(texts)}, merges=merges)
    )
    words = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
        r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    )
    library.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    library.decoder = decoders.ByteLevel()
    library.add_special_tokens(list(QWEN_MARKS))
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=library, eos_token="<|im_end|>"
    )
    torch.manual_seed(0)
    sizes = {key: SIZES[key] for key in SIZES if key != "num_labels"}
    config = transformers.Qwen3Config(
        **sizes,
        num_key_value_heads=2,
        head_dim=16,
        vocab_size=len(tokenizer),
        max_position_embeddings=1024,
        tie_word_embeddings=True,
    )
    model = transformers.Qwen3ForCausalLM(config).float().eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


def of_qwen(model: Any, tokenizer: Any, query: str, n_ctx: int) -> NDArray[np.float64]:
    """Score the documents as the model card of Qwen3-Reranker does."""
    prefix = (
        "<|im_start|>system\nJudge whether the Document meets the requirements based "
        'on the Query and the Instruct provided. Note that the answer can only be "yes"'
        ' or "no".<|im_end|>\n<|im_start|>user\n'
    )
    suffix = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    before, after = (
        tokenizer.encode(text, add_special_tokens=False) for text in (prefix, suffix)
    )
    no, yes = (tokenizer.convert_tokens_to_ids(text) for text in ("no", "yes"))
    found = []
    for document in DOCUMENTS:
        text = f"<Instruct>: {INSTRUCTION}\n<Query>: {query}\n<Document>: {document}"
        ids = tokenizer.encode(text, add_special_tokens=False)
        ids = before + ids[: n_ctx - len(before) - len(after)] + after
        with torch.no_grad():
            last = model(torch.tensor([ids])).logits[0, -1]
        found.append(torch.softmax(last[[no, yes]], dim=0)[1].item())
    return np.array(found)


def test_a_model_that_writes_is_asked_as_the_model_card_says(tmp_path: Path) -> None:
    model, tokenizer = qwen3(tmp_path)
    for query, n_ctx in ((QUERIES[0], 1024), (QUERIES[0], 600), (QUERIES[1], 700)):
        wanted = of_qwen(model, tokenizer, query, n_ctx)
        with llamacy.load(tmp_path, n_ctx=n_ctx, kv_type="f32") as ours:
            found = ours.rerank(query, DOCUMENTS, truncate=True)
        np.testing.assert_allclose(found.scores, wanted, atol=5e-5)
        assert max(found.cut_counts) > 0 or n_ctx == 1024
