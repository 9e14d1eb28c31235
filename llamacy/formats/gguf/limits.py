"""The largest hyperparameters that a file may have.

They lie far beyond any real model, and keep an absurd number in a file from becoming an
absurd allocation further up.
"""

from __future__ import annotations

from typing import Final

MAX_LAYERS: Final = 1 << 12
MAX_EMBD: Final = 1 << 20
MAX_HEADS: Final = 1 << 16
MAX_HEAD_DIM: Final = 1 << 16
MAX_FF: Final = 1 << 24
MAX_EXPERTS: Final = 1 << 9  # llama.cpp's own
MAX_VOCAB: Final = 1 << 24
MAX_FREQ_BASE: Final = 1e15
MAX_SCALE: Final = 1e6  # of factors and magnitudes
MIN_SCALE: Final = 1e-6  # dividing by a smaller one may overflow
