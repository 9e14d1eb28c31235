"""Names of models on the hub, and strings that are not names."""

from __future__ import annotations

import pytest

import llamacy
from llamacy.hub.names import HubName, parse_name

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("user/repo", HubName("user/repo")),
        ("hf://user/repo", HubName("user/repo")),
        ("Us-er_1/Re.po-7B-GGUF", HubName("Us-er_1/Re.po-7B-GGUF")),
        ("user/repo:Q4_K_M", HubName("user/repo", variant="Q4_K_M")),
        ("user/repo:UD-Q4_K_XL", HubName("user/repo", variant="UD-Q4_K_XL")),
        ("user/repo/a.gguf", HubName("user/repo", file="a.gguf")),
        ("user/repo:a.gguf", HubName("user/repo", file="a.gguf")),
        ("user/repo/b c/a.GGUF", HubName("user/repo", file="b c/a.GGUF")),
        ("user/repo@v1.0", HubName("user/repo", "v1.0")),
        (f"user/repo@{COMMIT}:Q8_0", HubName("user/repo", COMMIT, "Q8_0")),
        ("user/repo@v1/b/a.gguf", HubName("user/repo", "v1", file="b/a.gguf")),
        ("user/repo@refs/pr/1:Q8_0", HubName("user/repo", "refs/pr/1", "Q8_0")),
        ("user/repo@a/b:Q8_0", HubName("user/repo", "a/b", "Q8_0")),
        ("user/repo@a/b:c/x.gguf", HubName("user/repo", "a/b", file="c/x.gguf")),
        (
            "user/repo@refs/pr/1/x.gguf",
            HubName("user/repo", "refs/pr/1", file="x.gguf"),
        ),
        ("hf://user/model.gguf", HubName("user/model.gguf")),
        ("user/repo.gguf:Q8_0", HubName("user/repo.gguf", variant="Q8_0")),
        ("https://huggingface.co/user/repo", HubName("user/repo")),
        ("https://huggingface.co/user/repo/tree/main", HubName("user/repo")),
        ("HTTPS://HuggingFace.co/user/repo/tree/v2/", HubName("user/repo", "v2")),
        ("hf.co/user/repo:Q8_0", HubName("user/repo", variant="Q8_0")),
        (
            "https://huggingface.co/user/repo/resolve/main/b%20c/a.gguf?download=true",
            HubName("user/repo", file="b c/a.gguf"),
        ),
        (
            "http://www.huggingface.co/user/repo/blob/refs%2Fpr%2F1/a.gguf#x",
            HubName("user/repo", "refs/pr/1", file="a.gguf"),
        ),
    ],
)
def test_a_valid_name_is_split_into_its_parts(text: str, name: HubName) -> None:
    assert parse_name(text) == name
    assert parse_name(str(name)) == name or text.startswith("hf://")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "demo",
        "model.gguf",
        "./model.gguf",
        "./user/repo",
        "../user/repo",
        "/user/repo",
        "~/user/repo",
        "models/7b.gguf",
        "models/7B.GGUF",
        "C:/models/7b.gguf",
        r"C:\models\7b.gguf",
        r"models\7b.gguf",
        "user/",
        "/repo",
        "user//repo",
        "user/.repo",
        "-user/repo",
        "us er/repo",
        "user/re..po",
        "user/re--po",
        "user/repo.git",
        "üser/repo",
        "models/llama/7b.bin",
        "models/llama/",
        "user/repo/../../x.gguf",
        "http://example.org/7b.gguf",
        "user/repo\n",
    ],
)
def test_an_invalid_name_is_refused(text: str) -> None:
    assert parse_name(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "user/repo:",
        "user/repo@",
        "user/repo:Q4 K",
        "user/repo:Q4_K_M@v1",
        "user/repo@../../x:Q8_0",
        "user/repo@v1/x.bin",
        "user/repo:../x.gguf",
        "hf://repo",
        "hf://user/repo/",
        "hf://a/b/c.bin",
        "user/repo@v1:x\\y.gguf",
        "user/repo:a:b.gguf",
        "user/repo@x\x1b[0m",
    ],
)
def test_a_string_that_is_neither_name_nor_path_is_refused(text: str) -> None:
    with pytest.raises(llamacy.ArgumentError, match="wanted a path or a name like"):
        parse_name(text)
