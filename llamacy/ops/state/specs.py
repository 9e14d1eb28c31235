"""Specs: what a layer keeps of its sequences between forward passes.

An operation with a state is given such a spec, and whoever stores, frees, counts or
saves states asks the spec, never for the operation's name. Adding a kind of state is a
class with the verbs of `StateSpec`, and the operation that reads and writes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from llamacy.ops.state.windows import n_read, n_seen

ALIGNMENT: Final = 64
"""Bytes: a cache line, and the widest vector. Pages and layers begin at multiples."""


class StateSpec(Protocol):
    """Describes the state that one layer keeps, of whatever kind."""

    @property
    def layer(self) -> int:
        """Number of the layer, which may have states of several kinds."""

    @property
    def window(self) -> int | None:
        """Tokens that the layer reads of its past, its row's own among them.

        None stands for all of them. Pages of tokens before are given back.
        """

    @property
    def text_bytes(self) -> int:
        """Bytes of a text that do not grow with it; 0 if all of the state is in pages.

        A state of a fixed size lies beside the pages of its text, under the same
        sequence, and can go back only to where a copy of it was taken.
        """

    def page_bytes(self, kv_type: str) -> int:
        """Bytes of one page's tokens, a multiple of 64; 0 if it keeps no tokens."""

    def work(
        self, kv_type: str, n_head: int, first: int, n_rows: int
    ) -> tuple[int, int]:
        """Count what the layer's operation must read of its state, and multiply.

        Parameters
        ----------
        kv_type : str
            Type of cached keys and values.
        n_head : int
            Heads of the operation, which may share those of the state; 0 for one that
            has none.
        first : int
            Position of the first row.
        n_rows : int
            Rows of one sequence.

        Returns
        -------
        n_bytes, n_products : int
            Bytes read, and numbers multiplied.
        """


@dataclass(frozen=True, slots=True)
class KeyValues:
    """The keys and values of each token: the state of one layer's attention.

    Attributes
    ----------
    layer : int
        Number of the layer.
    n_head_kv : int
        Heads of keys and values.
    head_dim : int
        Dimensions of one head's key.
    value_dim : int
        Dimensions of one head's value.
    window : int or None
        Tokens that the attention sees, the row's own among them; None for all.
    is_latent : bool
        Whether a value is the first `value_dim` dimensions of its key, and not kept by
        itself (DeepSeek-AI 2024, arXiv:2405.04434).
    is_causal : bool
        Whether a row sees nothing after it. Otherwise it sees all rows of its text in
        the pass, or half of the window before it and half after it.
    """

    layer: int
    n_head_kv: int
    head_dim: int
    value_dim: int
    window: int | None = None
    is_latent: bool = False
    is_causal: bool = True

    @property
    def text_bytes(self) -> int:
        """0: keys and values grow with the text."""
        return 0

    def page_bytes(self, kv_type: str) -> int:
        """Bytes of a page's keys and values, as the attention kernels lay them out."""
        # imported late: the reference runs where nothing is compiled
        from llamacy.ops.state.kv_pages import layer_bytes

        sizes = self.n_head_kv, self.head_dim, self.value_dim
        return layer_bytes(kv_type, *sizes, self.is_latent)

    def work(
        self, kv_type: str, n_head: int, first: int, n_rows: int
    ) -> tuple[int, int]:
        """Each key and value is read once; each row multiplies those that it sees."""
        from llamacy.ops.state.kv_pages import PAGE

        token_bytes = self.page_bytes(kv_type) // PAGE
        window = self.window
        if not self.is_causal:  # all rows see about as many
            n_seen_each = n_rows if window is None else min(n_rows, window + 1)
            n_tokens, n_pairs = n_rows, n_rows * n_seen_each
        else:
            n_tokens = n_read(first, n_rows, window)
            n_pairs = n_seen(first, n_rows, window)
        return (
            token_bytes * n_tokens,
            n_head * (self.head_dim + self.value_dim) * n_pairs,
        )


@dataclass(frozen=True, slots=True)
class Recurrence:
    """The state of one layer's recurrence: float32, of a fixed size.

    In memory, the inputs that a convolution keeps come first, the oldest first, padded
    to 64 bytes: (n_columns, n_channels). Then come the matrices of a scan: (n_head,
    key_dim, value_dim). The operations of one layer are given equal specs.

    Attributes
    ----------
    layer : int
        Number of the layer.
    n_channels : int
        Channels of the convolution; 0 without one.
    n_columns : int
        Inputs of the past that it keeps: one less than its kernel has.
    n_after : int
        Inputs after its row that the convolution sees; a pass has all of such a text,
        and keeps nothing of it.
    n_head : int
        Matrices of the scan; 0 without one.
    key_dim, value_dim : int
        Rows and columns of one matrix.
    """

    layer: int
    n_channels: int = 0
    n_columns: int = 0
    n_head: int = 0
    key_dim: int = 0
    value_dim: int = 0
    n_after: int = 0

    @property
    def window(self) -> int | None:
        """None: the state is of the whole text."""
        return None

    @property
    def column_bytes(self) -> int:
        """Bytes of the convolution's inputs, after which the matrices begin."""
        return aligned(4 * self.n_columns * self.n_channels)

    @property
    def matrix_bytes(self) -> int:
        """Bytes of the matrices."""
        return 4 * self.n_head * self.key_dim * self.value_dim

    @property
    def text_bytes(self) -> int:
        """Bytes of a text, however long."""
        return self.column_bytes + self.matrix_bytes

    def page_bytes(self, kv_type: str) -> int:
        """0: it keeps no tokens."""
        return 0

    def work(
        self, kv_type: str, n_head: int, first: int, n_rows: int
    ) -> tuple[int, int]:
        """Count those of the convolution, or of a scan if there are heads.

        The state is read once. A row decays each matrix, takes a row out of it, and
        adds a product of two rows.
        """
        if not n_head:
            n_products = (self.n_columns + 1) * self.n_channels * n_rows
            return self.column_bytes, n_products
        n_products = 3 * self.n_head * self.key_dim * self.value_dim * n_rows
        return self.matrix_bytes, n_products


def aligned(n_bytes: int) -> int:
    """Return the least multiple of `ALIGNMENT` that is not less."""
    return -(-n_bytes // ALIGNMENT) * ALIGNMENT
