"""Writing a GGUF file, tensor by tensor, with the package ``gguf``.

That package is slow to import and knows many libraries, so it is imported when it is
needed.
"""

from __future__ import annotations

import errno
import math
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llamacy.errors import ArgumentError, ModelFileError
from llamacy.formats.ggml import GGMLType
from llamacy.formats.gguf_header import DEFAULT_ALIGNMENT

_ARCHITECTURE = "general.architecture"


class NewTensor(NamedTuple):
    """A tensor to be written: its blocks come later. `shape` : slowest size first."""

    name: str
    type: GGMLType
    shape: tuple[int, ...]

    @property
    def n_bytes(self) -> int:
        """Bytes of all its blocks."""
        n_blocks = math.prod(self.shape) // self.type.block_size
        return n_blocks * self.type.type_size


def check_target(target: str, sources: Iterable[Path], n_bytes: int) -> None:
    """Find out before the work what would fail after it.

    Parameters
    ----------
    target : path of the file to write.
    sources : the files it is made of.
    n_bytes : how large it will be at least.

    Raises
    ------
    ArgumentError : `target` is one of `sources`.
    ModelFileError : it cannot be written, or there is no room for it.
    """
    if "\0" in target:
        raise ModelFileError(errno.EINVAL, "embedded null byte", target)
    folder = os.path.dirname(os.path.abspath(target))
    if os.path.exists(target) and not os.path.isfile(target):
        raise ModelFileError(errno.EINVAL, "not a regular file", target)
    if not os.path.isdir(folder):
        raise ModelFileError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    if os.path.exists(target) and any(
        os.path.samefile(target, path) for path in sources
    ):
        raise ArgumentError(
            f"target: wanted another file than the source, found {target}"
        )
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise ModelFileError(
            errno.ENOSPC, f"no space for {n_bytes} bytes, {free} are free", target
        )


def write_gguf(
    path: str,
    metadata: Mapping[str, Any],
    value_types: Mapping[str, int],
    tensors: Sequence[NewTensor],
    blocks: Iterable[NDArray[np.uint8]],
) -> None:
    """Write a file, which is there whole in the end or not at all.

    Only one tensor need be in memory at a time. A file that is there already is
    replaced at the end.

    Parameters
    ----------
    metadata, value_types : as :class:`GGUFFile` has them. Arrays without items are
        left out, which readers take as the same.
    tensors : all of them, in order.
    blocks : the bytes of each, uint8, (n_bytes,), in the same order. What goes wrong
        in making them is raised as it is.

    Raises
    ------
    ModelFileError : it cannot be written.
    """
    draft = f"{path}.{secrets.token_hex(4)}.part"
    try:
        _write(path, _writer(draft, metadata, value_types, tensors), blocks)
        with _file_errors(path):
            os.replace(draft, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(draft)
        raise


def _writer(
    draft: str,
    metadata: Mapping[str, Any],
    value_types: Mapping[str, int],
    tensors: Sequence[NewTensor],
) -> Any:
    """Make a GGUFWriter that knows everything but the weights."""
    import gguf

    writer = gguf.GGUFWriter(draft, metadata[_ARCHITECTURE])
    for key, value in metadata.items():
        if key != _ARCHITECTURE:
            _add_value(writer, key, value, gguf.GGUFValueType(value_types[key]))
    writer.data_alignment = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    floats = np.dtype(np.float32)  # is overruled by the type that follows
    for one in tensors:
        raw_type = gguf.GGMLQuantizationType(one.type)
        writer.add_tensor_info(one.name, one.shape, floats, one.n_bytes, raw_type)
    return writer


def _write(path: str, writer: Any, blocks: Iterable[NDArray[np.uint8]]) -> None:
    try:
        with _file_errors(path):
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_ti_data_to_file()
        for data in blocks:
            with _file_errors(path):
                writer.write_tensor_data(data)
        with _file_errors(path):
            writer.close()
    finally:
        # after an error: it is the first one that counts
        with suppress(OSError):
            writer.close()


@contextmanager
def _file_errors(path: str) -> Iterator[None]:
    """Raise an OSError as the typed one, about `path` rather than its draft."""
    try:
        yield
    except OSError as error:
        # NumPy says how much of an array it wrote, but not why no more
        reason = error.strerror or f"written in part, the disk may be full ({error})"
        raise ModelFileError(error.errno or errno.EIO, reason, path) from error


def _add_value(writer: Any, key: str, value: Any, value_type: Any) -> None:
    """Add one key; `value_type` is that of the value, or of an array's items."""
    from gguf import GGUFValueType

    if not isinstance(value, list | np.ndarray):
        writer.add_key_value(key, value, value_type)
    elif len(value):
        items = list(value) if isinstance(value, list) else value.tolist()
        writer.add_key_value(key, items, GGUFValueType.ARRAY, sub_type=value_type)
