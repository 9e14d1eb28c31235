"""Recognises files that are not GGUF, so that the error can say what they are."""

from __future__ import annotations

# first bytes of a file, and the format they indicate
_SIGNATURES = (
    (b"lmgg", "a GGML file, older than GGUF: convert it with llamacy convert"),
    (b"fmgg", "a GGMF file, older than GGUF: convert it with llamacy convert"),
    (b"tjgg", "a GGJT file, older than GGUF: convert it with llamacy convert"),
    (b"algg", "a GGLA adapter, older than GGUF: convert the original adapter again"),
    (b"PK\x03\x04", "a zip archive, perhaps a PyTorch checkpoint"),
    (b"\x80\x02", "a Python pickle, perhaps a PyTorch checkpoint"),
    (b"\x80\x03", "a Python pickle, perhaps a PyTorch checkpoint"),
    (b"\x80\x04", "a Python pickle, perhaps a PyTorch checkpoint"),
    (b"\x80\x05", "a Python pickle, perhaps a PyTorch checkpoint"),
    (b"\x1f\x8b", "a gzip archive: unpack it"),
    (b"version https://git-lfs", "a Git LFS pointer: git lfs pull fetches the file"),
    (b"<", "markup, perhaps a web page saved instead of the model"),
    (b"{", "JSON text"),
)


def describe(head: bytes) -> str:
    """Describe a file by its first bytes; 64 suffice.

    >>> describe(b"PK" + bytes([3, 4]) + bytes(20))
    'a zip archive, perhaps a PyTorch checkpoint'
    """
    # a uint64 length, then a JSON object of that length
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return "a safetensors file: name the folder that holds it"
    # protobuf: field 1 is a small number, and field 2 a text, the producer's name
    if head[0:1] == b"\x08" and head[2:3] == b"\x12":
        return "perhaps an ONNX model, which llamacy does not run"
    for signature, description in _SIGNATURES:
        if head.startswith(signature):
            return description
    if not any(head):
        return "nothing but zeros, perhaps an unfinished download"
    return f"a file that begins with {head[:4]!r}"
