"""Pairs are cut as Hugging Face's tokenizers cut them."""

from __future__ import annotations

from itertools import product

from tokenizers import Tokenizer, models, pre_tokenizers

from llamacy.generation.embedding.pairs import has_two_ends, longest_first


def test_the_longer_text_is_cut_first() -> None:
    library = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    library.pre_tokenizer = pre_tokenizers.Whitespace()
    sizes = (0, 1, 2, 5, 8, 13)
    for n_first, n_second, n_both in product(sizes, sizes, range(1, 20)):
        library.enable_truncation(n_both, strategy="longest_first")
        found = library.encode("a " * n_first, "b " * n_second).type_ids
        wanted = found.count(0), found.count(1)
        assert longest_first(n_first, n_second, n_both) == wanted


def test_files_or_else_families_say_how_many_tokens_stand_between() -> None:
    model, pre, said = (
        f"tokenizer.ggml.{key}" for key in ("model", "pre", "add_sep_token")
    )
    assert has_two_ends({model: "t5"})
    assert not has_two_ends({model: "t5", said: False})
    assert has_two_ends({model: "gpt2", pre: "roberta-bpe"})
    assert not has_two_ends({model: "gpt2", pre: "modern-bert"})
    assert has_two_ends({model: "gpt2", said: True})
    assert not has_two_ends({model: "bert", said: True})  # the one that ends a text
