"""Figures of ik_llama.cpp's benchmarks are read; stand-ins print what these printed."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench"
JOB = {"path": "m.gguf", "n_threads": 2, "depth": 0}

REPORT = """[
  {
    "build_commit": "8337e4cd3",
    "n_threads": 2,
    "repack": true,
    "n_prompt": 512,
    "n_gen": 0,
    "avg_ns": 3250000000,
    "avg_ts": 157.538462,
    "test": "pp512"
  }
]"""

TABLE = """
|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s | T s | S |
|-------|--------|------|--------|----------|----------|----------|----------|-----|---|
|     1 |     16 |    4 |     68 |    0.021 |   190.48 |    0.640 |   100.00 | 0.7 | 9 |
"""


def stand_in(path: Path, printed: str) -> None:
    """Write a program that prints this, and its own words to a file beside it."""
    path.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"open({str(path)!r} + '.words', 'w').write(' '.join(sys.argv[1:]))\n"
        f"print({printed!r})\n"
    )
    path.chmod(0o755)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module; both programs are in `tmp_path`."""
    monkeypatch.syspath_prepend(BENCH / "engines")
    stand_in(tmp_path / "llama-bench", REPORT)
    stand_in(tmp_path / "llama-batched-bench", TABLE)
    return import_module("llama_bench")


def test_seconds_and_versions_are_those_that_were_printed(
    bench: Any, tmp_path: Path
) -> None:
    engine = bench.LlamaBench(tmp_path / "llama-bench", JOB, repacks=True)
    assert engine.seconds("pp", 512) == 3.25
    assert engine.versions == {"ik_llama.cpp": "8337e4cd3"}
    words = (tmp_path / "llama-bench.words").read_text()
    assert "-t 2 -p 512 -n 0 -rtr 1" in words
    assert engine.seconds("tg", 16, 4) == 0.64
    words = (tmp_path / "llama-batched-bench.words").read_text()
    assert "-npp 1 -ntg 16 -npl 4 -c 68" in words
    assert words.endswith("-rtr")


def test_tests_that_the_programs_lack_are_left_out(bench: Any, tmp_path: Path) -> None:
    deep = bench.LlamaBench(tmp_path / "llama-bench", JOB | {"depth": 9}, repacks=False)
    assert not deep.measures("pp", 1)
    assert deep.measures("tg", 4)
    deep.seconds("tg", 16)
    words = (tmp_path / "llama-bench.words").read_text()
    assert "-p 0 -n 0 -gp 9,16 -rtr 0" in words
    (tmp_path / "llama-batched-bench").unlink()
    assert not deep.measures("tg", 4)


def test_other_output_ends_the_run(bench: Any, tmp_path: Path) -> None:
    stand_in(tmp_path / "llama-batched-bench", "no room for the context")
    engine = bench.LlamaBench(tmp_path / "llama-bench", JOB, repacks=False)
    with pytest.raises(SystemExit, match="wanted a line of results, found\nno room"):
        engine.seconds("tg", 16, 4)
