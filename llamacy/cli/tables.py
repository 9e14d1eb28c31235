"""Tables for people: as wide as the terminal, or of fixed width in a pipe."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from llamacy.printable import printable

_PIPE_WIDTH = 240  # columns


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, right: str = ""
) -> None:
    """Print rows under headings.

    Parameters
    ----------
    columns : sequence of str
        The headings.
    rows : iterable of sequence
        Rows with one cell per heading.
    right : str
        Headings of right-aligned columns, separated by spaces.
    """
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right.split() else "left")
    for row in rows:
        table.add_row(*(printable(str(cell)) for cell in row))
    with console.capture() as capture:  # its own printing hides a closed pipe
        console.print(table)
    print(capture.get(), end="")


def in_units(n_bytes: float) -> str:
    """Return a number of bytes in a readable unit.

    >>> in_units(5 * 2**20)
    '5.0 MiB'
    """
    power = min(int(math.log2(n_bytes) // 10), 4) if n_bytes >= 1 else 0
    unit = ("bytes", "KiB", "MiB", "GiB", "TiB")[power]
    return f"{n_bytes / 1024**power:.{1 if power else 0}f} {unit}"
