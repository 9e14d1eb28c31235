"""A SentencePiece vocabulary, learnt from the corpus."""

from __future__ import annotations

import io

import sentencepiece

from .corpus import sentences

N_VOCAB = 2560
_N_DOCUMENTS = 60_000


def train_vocabulary(seed: int) -> bytes:
    """Learn byte-pair pieces, with a piece for each byte; return a .model file.

    Like in LLaMA's vocabulary, digits stand alone, newlines are bytes, and nothing is
    normalised. Unlike there, no space is put before a text.
    """
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=sentences(seed, _N_DOCUMENTS),
        model_writer=model,
        model_type="bpe",
        vocab_size=N_VOCAB,
        byte_fallback=True,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=1,
    )
    return model.getvalue()
